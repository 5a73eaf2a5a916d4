// NVIDIA's published facts (launcher/data/drivers.json): which driver brings which CUDA, which CUDA knows which PTX.
#pragma once

#include <optional>
#include <string>
#include <vector>

namespace holdall::launcher {

// The oldest driver on which programs of a CUDA major version run (minor version compatibility); nullopt: not in the
// table.
std::optional<std::string> driver_floor(int cuda_major);

// The newest floor that the table knows: what can be said about a CUDA newer than the table.
std::string newest_driver_floor();

// CUDA version of a driver: the newest toolkit whose first driver is not newer. nullopt: older than the table.
std::optional<std::string> cuda_of_driver(const std::string& driver);

// The first driver of a CUDA version, e.g. "565.57.01" for "12.7"; nullopt: not in the table.
std::optional<std::string> first_driver(const std::string& cuda);

// The CUDA version that knows a PTX ISA; nullopt: an ISA that is not in the table.
std::optional<std::string> cuda_of_ptx(const std::string& isa);

// The capabilities on which a family-specific cubin runs ("100f": 10.0, 10.3); empty: an unknown family.
std::vector<std::string> family_members(const std::string& family);

}  // namespace holdall::launcher
