// Files that are built into the launcher.
#pragma once

#include <string_view>

namespace holdall::launcher {

std::string_view embedded_drivers();  // launcher/data/drivers.json
std::string_view embedded_probe();    // the program holdall-probe

}  // namespace holdall::launcher
