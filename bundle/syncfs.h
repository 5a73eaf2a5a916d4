// Whether many files are made durable by one syncfs: a journal commit per file would cost more.
#pragma once

#include <cstddef>

namespace holdall::bundle {

// True for more than 256 files. False where one fsync per file is needed all the same: before Linux 5.8 syncfs swallows
// write-back errors.
bool syncfs_suits(std::size_t files);

}  // namespace holdall::bundle
