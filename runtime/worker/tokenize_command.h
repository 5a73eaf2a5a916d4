// `tokenize`: the tokenizer by itself, for parity work and for counting tokens.
#pragma once

#include <filesystem>
#include <iosfwd>

namespace holdall::runtime::worker {

// One JSON string a line from `in`, one JSON array of ids a line to `out`. Throws runtime::Error naming the line.
void run_tokenize(const std::filesystem::path& model, std::istream& in, std::ostream& out);

}  // namespace holdall::runtime::worker
