// Edits on the disk: what was asked for, and what came of it. Each file appears whole or not at all. Readable by its
// owner only: it holds prompts and pictures.
#pragma once

#include <filesystem>

#include "runtime/service/edits/edit_form.h"
#include "runtime/service/edits/edit_queue.h"

namespace holdall::runtime::service {

enum class Durability { kPowerCut, kProcess };  // what a file outlives: the former waits for the disk

// All throw runtime::Error{kNotFound, kStorage}, the latter also for what is no such file.
void write_form(const std::filesystem::path& file, const EditForm& form);  // kPowerCut
EditForm read_form(const std::filesystem::path& file);
void write_result(const std::filesystem::path& file, const EditResult& result, Durability durability);
EditResult read_result(const std::filesystem::path& file);

}  // namespace holdall::runtime::service
