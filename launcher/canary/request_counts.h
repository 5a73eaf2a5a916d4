// How many requests a service says that it has answered, and how many of them with an error of its own.
#pragma once

#include <cstdint>
#include <string_view>

namespace holdall::launcher {

struct RequestCounts {
  std::uint64_t requests = 0, errors = 0;
};

// From Prometheus' text format: the sum of every sample whose name ends with "requests_total" and that has a label
// `code`, `status` or `status_code`; 5xx is an error. Questions about the service's health are none of its work and do
// not count: samples whose other labels name /metrics, /health and their like. What is not understood is passed over.
RequestCounts count_requests(std::string_view metrics);

}  // namespace holdall::launcher
