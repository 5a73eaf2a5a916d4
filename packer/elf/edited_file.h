// Reads a file as an edit will leave it; nothing is written anywhere.
#pragma once

#include <memory>
#include <string>

#include "packer/elf/edit.h"
#include "packer/input_file.h"

namespace holdall::packer {

class EditedFile final : public ReadableFile {
 public:
  // `edit` was planned for this `original`.
  EditedFile(std::shared_ptr<const ReadableFile> original, ElfEdit edit);

  const std::string& path() const override { return original_->path(); }
  std::uint64_t size() const override { return size_; }
  std::size_t read_some(std::uint64_t offset, std::span<std::byte> out) const override;

 private:
  std::size_t read_original(std::uint64_t offset, std::span<std::byte> out) const;
  std::size_t read_tail(std::uint64_t offset, std::span<std::byte> out) const;

  std::shared_ptr<const ReadableFile> original_;
  ElfEdit edit_;
  std::uint64_t size_;
};

}  // namespace holdall::packer
