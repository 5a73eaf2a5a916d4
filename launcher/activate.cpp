// Activation: a release becomes a generation, the generation becomes current, and its gate makes it good or bad. Every
// step leaves a store that recovery can finish or undo; the order of the fsyncs is what makes that true after a power
// cut.
#include <cerrno>

#include "bundle/error.h"
#include "bundle/temporary_name.h"
#include "launcher/generations.h"
#include "launcher/store.h"

namespace holdall::launcher {
namespace {

constexpr std::size_t kBadReportsKept = 20;

// A new state file that appears whole or not at all.
void write_state(const Disk& disk, int state, const std::string& name, std::string_view text) {
  const std::string temporary = "." + name + "." + bundle::random_name();
  disk.write_file({state, temporary}, text);
  disk.replace({state, temporary}, {state, name});
  disk.sync(state, "state");
}

void drop_trial(const Disk& disk, int state, std::uint64_t generation, const Generations& generations) {
  const auto trial = generations.trials.find(generation);
  if (trial == generations.trials.end()) return;
  disk.remove({state, trial_name(generation, trial->second)});
  disk.sync(state, "state");
}

}  // namespace

// `link` → gens/<generation>, atomically and durably.
void Store::point(const std::string& link, std::uint64_t generation) {
  const std::string temporary = "." + link + "." + bundle::random_name();
  disk_.make_link("gens/" + std::to_string(generation), at(temporary));
  disk_.replace(at(temporary), at(link));
  disk_.sync(directory_.get(), link);
}

Generation Store::activate(const StoreLock& /*held*/, const std::string& release) {
  const bool gated = info(release).service.has_value();
  const bundle::FileDescriptor gens = open_folder(at("gens")), state = open_folder(at("state"));
  Generation next{read_generations(directory_.get()).newest() + 1, release};

  disk_.make_link("../releases/" + release, {gens.get(), std::to_string(next.number)});
  disk_.sync(gens.get(), "gens");
  // Before the switch: a current generation always has a state that says how far it is.
  write_state(disk_, state.get(), gated ? trial_name(next.number, Trial{}) : good_name(next.number), "");
  point("current", next.number);
  if (!gated) point("good", next.number);
  return next;
}

bool Store::spend_trial(const StoreLock& /*held*/, std::uint64_t generation) {
  const bundle::FileDescriptor state = open_folder(at("state"));
  const Generations generations = read_generations(directory_.get());
  const auto found = generations.trials.find(generation);
  if (found == generations.trials.end() || found->second.left <= 0) return false;
  const Trial trial = found->second, spent{trial.left - 1, trial.done + 1};
  disk_.replace({state.get(), trial_name(generation, trial)}, {state.get(), trial_name(generation, spent)});
  disk_.sync(state.get(), "state");
  return true;
}

bool Store::passed_gate(std::uint64_t generation) const {
  return read_generations(directory_.get()).good.contains(generation);
}

void Store::mark_good(const StoreLock& /*held*/, std::uint64_t generation) {
  const bundle::FileDescriptor state = open_folder(at("state"));
  const Generations generations = read_generations(directory_.get());
  if (!generations.releases.contains(generation))
    throw bundle::Error(bundle::ErrorKind::kNotFound, "no generation " + std::to_string(generation));
  if (!generations.good.contains(generation)) write_state(disk_, state.get(), good_name(generation), "");
  point("good", generation);
  drop_trial(disk_, state.get(), generation, generations);
}

std::optional<Generation> Store::mark_bad(const StoreLock& /*held*/, std::uint64_t generation,
                                          const std::string& reason) {
  const bundle::FileDescriptor state = open_folder(at("state"));
  Generations generations = read_generations(directory_.get());
  const bool had_passed = generations.good.contains(generation);
  const auto now = current(), back = had_passed && now ? good_before(*now) : good();
  const bool going_back = now && now->number == generation && back && back->number != generation;
  // good first: a current that is good but newer than good is taken for a switch that was cut short, and finished.
  if (going_back && had_passed) point("good", back->number);
  if (going_back) point("current", back->number);

  if (had_passed) disk_.remove({state.get(), good_name(generation)});  // synced with what comes next
  write_state(disk_, state.get(), bad_name(generation), reason + "\n");
  generations = read_generations(directory_.get());
  drop_trial(disk_, state.get(), generation, generations);
  std::size_t surplus = generations.bad.size() > kBadReportsKept ? generations.bad.size() - kBadReportsKept : 0;
  for (auto old = generations.bad.begin(); surplus > 0; ++old, --surplus) disk_.remove({state.get(), bad_name(*old)});

  if (now && now->number == generation && !going_back) {
    disk_.remove(at("current"));
    disk_.sync(directory_.get(), "current");
    return std::nullopt;
  }
  return current();
}

}  // namespace holdall::launcher
