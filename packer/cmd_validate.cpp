#include <iostream>
#include <nlohmann/json.hpp>

#include "packer/commands.h"
#include "packer/input_file.h"
#include "packer/manifest.h"

namespace holdall::packer {

bool run_validate(const std::string& manifest, Output format) {
  ManifestReading reading = parse_manifest(read_whole(manifest, 1 << 20), manifest);
  if (reading.manifest) reading.faults = check_inputs(*reading.manifest);
  const bool valid = reading.faults.empty();
  if (format == Output::kJson) {
    nlohmann::ordered_json faults = nlohmann::ordered_json::array();
    for (const JsonFault& fault : reading.faults)
      faults.push_back({{"pointer", fault.pointer}, {"message", fault.message}});
    std::cout << nlohmann::ordered_json{{"manifest", manifest}, {"valid", valid}, {"faults", faults}}.dump(2) << "\n";
  } else if (valid) {
    std::cout << manifest << ": valid\n";
  } else {
    for (const JsonFault& fault : reading.faults) {
      std::cout << manifest << ": " << (fault.pointer.empty() ? "it" : fault.pointer) << " " << fault.message << "\n";
    }
  }
  return valid;
}

}  // namespace holdall::packer
