#include "runtime/worker/inspect_command.h"

#include <cstdio>
#include <iostream>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/pipelines/inspect.h"
#include "runtime/worker/size.h"

namespace holdall::runtime::worker {

namespace {

using pipelines::Capacity;
using pipelines::Component;
using pipelines::Cost;
using pipelines::Facts;

// 40861031488, "B" → "40.9 GB"; what has no unit is counted in billions.
std::string scaled(double value, const std::string& unit) {
  const char* const prefixes[] = {"", "k", "M", unit.empty() ? "B" : "G", "T", "P"};
  std::size_t prefix = 0;
  for (; value >= 999.5 && prefix + 1 < std::size(prefixes); ++prefix) value /= 1000;
  char text[64];
  std::snprintf(text, sizeof text, "%.3g %s%s", value, prefixes[prefix], unit.c_str());
  return text;
}

std::string name_of(const image::Size& size) {
  return std::to_string(size.width) + "x" + std::to_string(size.height);
}

std::string dtypes_of(const Component& component) {
  std::string text;
  for (const auto& [dtype, count] : component.elements)
    text += (text.empty() ? "" : ", ") + dtype + (component.elements.size() > 1 ? " " + scaled(double(count), "") : "");
  return text;
}

void print(const Facts& facts, const Capacity& capacity) {
  std::printf("%s: %s, as %s\n\n", facts.name.c_str(), facts.class_name.c_str(), facts.release.c_str());
  std::printf("%-14s %-36s %-12s %s\n", "component", "class", "parameters", "stored as");
  for (const auto& component : facts.components)
    std::printf("%-14s %-36s %-12s %s\n", component.name.c_str(), component.class_name.c_str(),
                scaled(double(component.parameters), "").c_str(), dtypes_of(component).c_str());
  const double kept = double(facts.kept());
  std::printf("\nweights in memory: %s as float32, %s as bfloat16 or float16\n", scaled(4 * kept, "B").c_str(),
              scaled(2 * kept, "B").c_str());
  std::printf("%s: %s free, a matrix product in %s at %s\n\n", capacity.device.c_str(),
              scaled(capacity.free_memory, "B").c_str(), capacity.dtype.c_str(),
              scaled(capacity.rate, "FLOP/s").c_str());
  std::printf("%s\n", facts.edits ? "An edit of one reference; memory is estimated. A step is one pass of the "
                                    "transformer, with a negative prompt two."
                                  : "A picture from text; memory is estimated. A step is one pass of the transformer, "
                                    "with a negative prompt two.");
  std::printf("%-11s %-8s %-12s %-10s %-10s %s\n", "size", "tokens", "a pass", "float32", "bfloat16",
              ("on " + capacity.device + " in " + capacity.dtype).c_str());
  for (const auto& cost : facts.costs) {
    const std::string outlook = capacity.has_room_for(cost)
                                    ? "fits; " + scaled(cost.operations / capacity.rate, "s") + " a pass at that rate"
                                    : "does not fit";
    std::printf("%-11s %-8s %-12s %-10s %-10s %s\n", name_of(cost.size).c_str(),
                std::to_string(cost.text_tokens + cost.image_tokens).c_str(), scaled(cost.operations, "FLOP").c_str(),
                scaled(cost.memory_float32, "B").c_str(), scaled(cost.memory_half, "B").c_str(), outlook.c_str());
  }
}

nlohmann::json to_json(const Facts& facts, const Capacity& capacity) {
  nlohmann::json components = nlohmann::json::array(), sizes = nlohmann::json::array();
  for (const auto& component : facts.components)
    components.push_back({{"name", component.name},
                          {"class", component.class_name},
                          {"parameters", component.parameters},
                          {"dtypes", component.elements}});
  for (const auto& cost : facts.costs)
    sizes.push_back(
        {{"width", cost.size.width},
         {"height", cost.size.height},
         {"text_tokens", cost.text_tokens},
         {"image_tokens", cost.image_tokens},
         {"operations_per_pass", cost.operations},
         {"memory_bytes",
          {{"float32", cost.memory_float32}, {"bfloat16", cost.memory_half}, {"float16", cost.memory_half}}},
         {"fits", capacity.has_room_for(cost)},
         {"seconds_per_pass", cost.operations / capacity.rate}});
  return {
      {"name", facts.name},
      {"pipeline", facts.class_name},
      {"release", facts.release},
      {"edits", facts.edits},
      {"components", components},
      {"weights_bytes", {{"float32", 4 * facts.kept()}, {"bfloat16", 2 * facts.kept()}, {"float16", 2 * facts.kept()}}},
      {"device",
       {{"name", capacity.device},
        {"dtype", capacity.dtype},
        {"free_bytes", capacity.free_memory},
        {"operations_per_second", capacity.rate}}},
      {"sizes", sizes}};
}

}  // namespace

void run_inspect(const InspectArguments& arguments) {
  std::vector<image::Size> sizes;
  for (const auto& text : arguments.sizes)
    if (const auto size = parse_size(text)) sizes.push_back(*size);
  const Facts facts = pipelines::inspect(arguments.model, sizes);
  const Capacity capacity = pipelines::capacity_of(arguments.device, arguments.dtype);
  if (arguments.json)
    std::puts(to_json(facts, capacity).dump(2, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
  else
    print(facts, capacity);
  if (std::fflush(stdout) != 0) throw Error(ErrorKind::kStorage, "cannot write to standard output");
}

}  // namespace holdall::runtime::worker
