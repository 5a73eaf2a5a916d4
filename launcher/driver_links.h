// ROOT/<name>/driver: links to the libraries of the host's NVIDIA driver, and to nothing else of the host. A bundle's
// programs get it as their library path: so they find the libcuda that the doctor judged wherever it lies, and never a
// whole library folder of the host, whose other files may not fit the bundle's.
#pragma once

#include <map>
#include <string>

#include "launcher/host.h"
#include "launcher/store.h"

namespace holdall::launcher {

// What is linked, for a libcuda.so.1 of that path: name → real path. Of each library the one beside libcuda, else the
// one that the host's loader would find.
std::map<std::string, std::string> driver_libraries(const Host& host, const std::string& libcuda);

// Brings the folder up to date and returns its path. `given` is the user's libcuda, wherever it lies; empty: the
// host's. Empty if there is none, or if the folder cannot be written: then the host's loader has to find it.
std::string link_driver(const Store& store, const std::string& given);

}  // namespace holdall::launcher
