#include "packer/output/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <vector>

#include "bundle/atomic_file.h"
#include "bundle/error.h"
#include "bundle/file_descriptor.h"
#include "bundle/file_io.h"
#include "bundle/frame.h"
#include "bundle/threads.h"
#include "packer/output/folder_output.h"
#include "packer/output/foreign_archive.h"
#include "packer/output/mksquashfs.h"

namespace holdall::packer {
namespace {

using bundle::Error;
using bundle::ErrorKind;

class BundleFile final : public PackOutput {
 public:
  BundleFile(const std::string& path, const OutputOptions& options, const bundle::BundleInfo& info)
      : file_(path),
        base_(options.copied_base.empty() ? -1 : open_base(options.copied_base)),
        writer_(info,
                {.level = options.level,
                 .threads = options.threads,
                 .mtime = options.mtime,
                 .archive_digest = options.archive_digest,
                 .root = options.root,
                 .base = options.base,
                 .copy_base = base_ ? copy_base() : nullptr,
                 .frame_digests = options.frame_digests},
                [this](std::span<const std::byte> bytes) { file_.write(bytes); }) {}

  void add(bundle::Entry entry, const bundle::ByteSource& source) override { writer_.add(std::move(entry), source); }
  void settle() override { writer_.settle(); }
  bundle::WriteSummary finish() override {
    const bundle::WriteSummary summary = writer_.finish();
    file_.finish();
    return summary;
  }
  const bundle::EntryStore& entries() const override { return writer_.entries(); }
  bundle::Writer* frames() override { return &writer_; }
  std::string commit() override {
    file_.commit();
    return {};
  }

 private:
  static int open_base(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) throw bundle::system_error(errno, "open", path);
    return descriptor;
  }

  bundle::RangeCopy copy_base() {
    return [this](std::uint64_t offset, std::uint64_t size) { file_.copy(base_.get(), offset, size); };
  }

  bundle::AtomicFile file_;
  bundle::FileDescriptor base_;  // if it may be copied from as it is
  bundle::Writer writer_;        // last: its threads, which write to the file, end first
};

class ForeignFile final : public PackOutput {
 public:
  ForeignFile(const std::string& path, const OutputOptions& options, const bundle::BundleInfo& info)
      : path_(path), options_(options), file_(path), archive_(info, options.root, make_container()) {}

  void add(bundle::Entry entry, const bundle::ByteSource& source) override { archive_.add(std::move(entry), source); }
  void settle() override { archive_.settle(); }
  const bundle::EntryStore& entries() const override { return archive_.entries(); }
  std::string commit() override {
    file_.commit();
    return {};
  }

  bundle::WriteSummary finish() override {
    bundle::WriteSummary summary = archive_.finish();
    if (options_.format == Format::kSquashfs) read_back();
    file_.finish();
    summary.archive_bytes = bytes_;
    if (options_.archive_digest == bundle::ArchiveDigest::kCompute) summary.archive_digest = hash_.finish();
    return summary;
  }

 private:
  std::unique_ptr<Container> make_container() {
    const StreamOptions stream{
        .level = options_.level, .threads = bundle::thread_count(options_.threads), .check = options_.check};
    const bundle::ByteSink sink = [this](std::span<const std::byte> bytes) { put(bytes); };
    switch (options_.format) {
      case Format::kTarGz:
        return tar_container(gzip_stream(stream, sink), options_.mtime);
      case Format::kTarBz2:
        return tar_container(bzip2_stream(stream, sink), options_.mtime);
      case Format::kTarXz:
        return tar_container(xz_stream(stream, sink), options_.mtime);
      case Format::kTar:
        return tar_container(plain_stream(sink), options_.mtime);
      case Format::kZip:
        return zip_container(sink, options_.level, options_.mtime);
      case Format::kSquashfs:
        return tar_container(
            squashfs_stream(file_.descriptor(), {.stream = stream, .mtime = options_.mtime, .name = path_}),
            options_.mtime);
      case Format::kTarZst:
      case Format::kNoArchive:
        break;
    }
    throw Error(ErrorKind::kInternal, "'" + path_ + "': not the format of a foreign file");
  }

  void account_for(std::span<const std::byte> bytes) {
    bytes_ += bytes.size();
    if (options_.archive_digest == bundle::ArchiveDigest::kCompute) hash_.update(bytes);
  }

  void put(std::span<const std::byte> bytes) {
    account_for(bytes);
    if (options_.format == Format::kZip && options_.zip64 == Zip64::kNever && bytes_ > kLargestPlainZip) {
      throw Error(ErrorKind::kCannotPack,
                  "the archive is larger than a zip without ZIP64 extensions can be: leave out --no-zip-64");
    }
    file_.write(bytes);
  }

  // What mksquashfs has written.
  void read_back() {
    struct stat status {};
    if (::fstat(file_.descriptor(), &status) != 0) throw bundle::system_error(errno, "read", path_);
    if (options_.archive_digest == bundle::ArchiveDigest::kSkip) {
      bytes_ = static_cast<std::uint64_t>(status.st_size);
      return;
    }
    std::vector<std::byte> buffer(std::size_t{1} << 20);
    for (;;) {
      const ssize_t got = bundle::pread_all(file_.descriptor(), buffer, bytes_);
      if (got < 0) throw bundle::system_error(errno, "read", path_);
      if (got == 0) return;
      account_for(std::span(buffer).first(static_cast<std::size_t>(got)));
      if (options_.check) options_.check();
    }
  }

  const std::string path_;
  const OutputOptions options_;
  std::uint64_t bytes_ = 0;
  bundle::Sha256 hash_;
  bundle::AtomicFile file_;
  ForeignArchive archive_;  // last: its threads, and mksquashfs, end first
};

class Folder final : public PackOutput {
 public:
  Folder(const std::string& path, const OutputOptions& options, const bundle::BundleInfo& info)
      : Folder(std::make_unique<FolderOutput>(path, options.mtime), options, info) {}

  void add(bundle::Entry entry, const bundle::ByteSource& source) override { archive_.add(std::move(entry), source); }
  void settle() override { archive_.settle(); }
  const bundle::EntryStore& entries() const override { return archive_.entries(); }
  std::string commit() override { return folder_.commit(); }
  bundle::WriteSummary finish() override {
    bundle::WriteSummary summary = archive_.finish();
    summary.archive_bytes = summary.bytes + summary.toc_size;
    return summary;
  }

 private:
  Folder(std::unique_ptr<FolderOutput> folder, const OutputOptions& options, const bundle::BundleInfo& info)
      : folder_(*folder), archive_(info, options.root, std::move(folder)) {}

  FolderOutput& folder_;  // the archive's
  ForeignArchive archive_;
};

}  // namespace

std::unique_ptr<PackOutput> open_output(const std::string& path, const OutputOptions& options,
                                        const bundle::BundleInfo& info) {
  switch (options.format) {
    case Format::kTarZst:
      return std::make_unique<BundleFile>(path, options, info);
    case Format::kNoArchive:
      return std::make_unique<Folder>(path, options, info);
    default:
      return std::make_unique<ForeignFile>(path, options, info);
  }
}

std::pair<std::string, std::string> compressor_of(Format format, int level) {
  const auto of = [&](const char* name, const std::string& version) {
    return std::pair<std::string, std::string>(name, version + " level " + std::to_string(level));
  };
  switch (format) {
    case Format::kTarZst:
      return {bundle::kFrameEncodingKey, bundle::frame_encoding(level)};
    case Format::kTarGz:
    case Format::kZip:
      return of("zlib", zlib_library());
    case Format::kTarBz2:
      return of("bzip2", bzip2_library());
    case Format::kTarXz:
      return of("xz", xz_library());
    case Format::kSquashfs:
      return of("mksquashfs", mksquashfs_version());
    case Format::kTar:
    case Format::kNoArchive:
      break;
  }
  return {};
}

}  // namespace holdall::packer
