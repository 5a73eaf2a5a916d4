#include <algorithm>
#include <atomic>
#include <exception>
#include <map>
#include <mutex>
#include <thread>

#include "bundle/elf_record.h"
#include "bundle/error.h"
#include "bundle/reader.h"
#include "bundle/tar_stream.h"
#include "bundle/threads.h"

namespace holdall::bundle {

namespace {

constexpr std::size_t kMaxFaults = 100;

// What one thread takes at a time: a whole file, because its digest is that of all chunks in order.
struct Task {
  const Entry* entry;
  std::size_t first_frame;
};

class Verifier {
 public:
  explicit Verifier(const Reader& reader) : reader_(reader) {
    std::size_t frame = 0;
    const auto& frames = reader.frames();
    for (const Entry& entry : reader.toc().entries) {
      if (entry.type != EntryType::kRegular) continue;
      ++report_.files;
      report_.bytes += entry.size;
      while (!entry.chunks.empty() && frames[frame].offset != entry.chunks.front().frame_offset) ++frame;
      tasks_.push_back({&entry, frame});
      frame += entry.chunks.size();
    }
    report_.frames = frames.size();
    // The largest first, so that no thread is left with one at the end.
    std::ranges::stable_sort(tasks_, std::ranges::greater(), [](const Task& task) { return task.entry->size; });
  }

  VerifyReport run(unsigned threads) {
    run_in_threads(threads, [this](unsigned) { work(); });
    if (failure_) std::rethrow_exception(failure_);
    for (auto& [place, text] : faults_) report_.faults.push_back(std::move(text));
    return std::move(report_);
  }

 private:
  void work() noexcept {
    try {
      std::vector<std::byte> content, scratch;
      for (std::size_t i = next_++; i <= tasks_.size(); i = next_++) {
        if (i == 0) {
          check_tar();
        } else {
          check_file(tasks_[i - 1], content, scratch);
        }
      }
    } catch (...) {
      const std::lock_guard lock(mutex_);
      failure_ = std::current_exception();
      next_ = tasks_.size() + 1;
    }
  }

  void check_tar() {
    try {
      check_tar_stream(reader_);
    } catch (const Error& error) {
      if (error.kind() != ErrorKind::kBadBundle) throw;
      fault(reader_.archive_bytes(), error.what());
    }
  }

  void check_file(const Task& task, std::vector<std::byte>& content, std::vector<std::byte>& scratch) {
    const Entry& entry = *task.entry;
    // A file of one chunk has that chunk's digest: parse_toc demands it.
    const bool whole = entry.chunks.size() != 1;
    Sha256 hash, original;
    bool readable = true;
    for (std::size_t i = 0; i < entry.chunks.size(); ++i) {
      const Chunk& chunk = entry.chunks[i];
      const auto bad_chunk = [&](const std::string& reason) {
        fault(chunk.frame_offset, entry.path + ": chunk at " + std::to_string(chunk.offset) + ": " + reason);
      };
      content.resize(static_cast<std::size_t>(chunk.size));
      try {
        reader_.read_frame(reader_.frames()[task.first_frame + i], scratch, content);
      } catch (const Error& error) {
        if (error.kind() != ErrorKind::kBadBundle) throw;
        bad_chunk(error.what());
        readable = false;
        continue;
      }
      if (sha256(content) != chunk.digest) bad_chunk("digest differs");
      if (chunk.zeros && std::ranges::any_of(content, [](std::byte byte) { return byte != std::byte{0}; })) {
        bad_chunk("it is not all zeros");
      }
      if (whole && readable) hash.update(content);
      if (entry.elf) original.update(undo_edit(*entry.elf, chunk.offset, content));
    }
    if (whole && readable && hash.finish() != entry.digest) {
      fault(entry.chunks.empty() ? 0 : entry.chunks.front().frame_offset, entry.path + ": digest differs");
    }
    if (entry.elf && readable && original.finish() != entry.elf->original_digest) {
      fault(entry.chunks.empty() ? 0 : entry.chunks.front().frame_offset,
            entry.path + ": with its ELF edit undone, it has not the original's recorded digest");
    }
  }

  void fault(std::uint64_t place, std::string text) {
    const std::lock_guard lock(mutex_);
    faults_.emplace(place, std::move(text));
    if (faults_.size() > kMaxFaults) faults_.erase(std::prev(faults_.end()));
  }

  const Reader& reader_;
  VerifyReport report_;
  std::vector<Task> tasks_;
  std::atomic<std::size_t> next_{0};  // 0: the tar stream; i: tasks_[i - 1]
  std::mutex mutex_;
  std::multimap<std::uint64_t, std::string> faults_;  // by place in the archive
  std::exception_ptr failure_;
};

}  // namespace

VerifyReport verify(const Reader& reader, unsigned threads) {
  threads = thread_count(threads);
  return Verifier(reader).run(threads);
}

}  // namespace holdall::bundle
