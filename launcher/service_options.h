// ROOT/<name>/service.json: what the user said when the service was run, for every later start and swap.
#pragma once

#include <optional>

#include "launcher/supervisor.h"

namespace holdall::launcher {

// Replaces the file atomically and durably. Throws Error{kStorage}, Error{kUsage} for text that is not UTF-8.
void save_service_options(const Store& store, const ServiceOptions& options);

// nullopt if nothing was saved. Throws Error{kStorage} naming the file if it is damaged.
std::optional<ServiceOptions> load_service_options(const Store& store);

}  // namespace holdall::launcher
