// Open files bound the connections: each has one.
#pragma once

#include <cstddef>

namespace holdall::runtime::service {

// Raises the soft limit of open files to the hard one and says what it is. The worker inherits it: it opens few, and
// nothing in it calls select(2), for which high numbers would be wrong.
std::size_t raise_descriptor_limit();

// Those of `descriptors` that connections to the main listener may take. The rest is for the service's own files, for
// probes, and for a worker that is started again while every connection is taken.
std::size_t connections_within(std::size_t descriptors) noexcept;

}  // namespace holdall::runtime::service
