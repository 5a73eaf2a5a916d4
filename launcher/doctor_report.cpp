// How a diagnosis is said: to people, to programs, and as a refusal.
#include <cstdio>
#include <nlohmann/json.hpp>

#include "bundle/error.h"
#include "launcher/doctor.h"

namespace holdall::launcher {
namespace {

const char* name_of(Status status) {
  switch (status) {
    case Status::kOk:
      return "ok";
    case Status::kWarn:
      return "warn";
    case Status::kFail:
      return "fail";
    case Status::kSkip:
      return "skip";
  }
  return "";
}

const char* name_of(Verdict verdict) {
  switch (verdict) {
    case Verdict::kCompatible:
      return "compatible";
    case Verdict::kIncompatible:
      return "incompatible";
    case Verdict::kUnknown:
      return "unknown";
  }
  return "";
}

// What comes from a host may hold anything; a terminal gets printable text only.
std::string printable(const std::string& text) {
  std::string clean = text;
  for (char& c : clean)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  return clean;
}

std::string in_colour(const std::string& text, Status status, bool colour) {
  if (!colour) return text;
  const char* start = status == Status::kFail ? "\033[31m" : status == Status::kWarn ? "\033[33m" : "\033[32m";
  return start + text + "\033[0m";
}

std::string with_source(const Check& check) {
  return printable(check.found) + (check.source.empty() ? "" : " (" + printable(check.source) + ")");
}

// 04-compatibility's form: code, found, need, fix, each on its line.
std::string block(const Check& check, bool colour) {
  const bool failed = check.status == Status::kFail;
  std::string text = in_colour(check.code.empty() ? check.id : check.code, check.status, colour);
  if (!failed) text += "  warning";
  if (!check.subject.empty()) text += "  " + printable(check.subject);
  text += "\n found: " + with_source(check) + "\n";
  if (!check.need.empty())
    text += " need:  " + printable(check.need) + (check.why.empty() ? "" : ": " + printable(check.why)) + "\n";
  if (!check.fix.empty()) text += " fix:   " + printable(check.fix) + "\n";
  if (!check.note.empty()) text += " " + printable(check.note) + "\n";
  return text;
}

std::string line(const Check& check, bool colour) {
  std::string status = name_of(check.status);
  status.resize(6, ' ');
  std::string id = check.id;
  id.resize(std::max<std::size_t>(id.size() + 1, 15), ' ');
  return (check.status == Status::kOk ? in_colour(status, check.status, colour) : status) + id + with_source(check) +
         (check.need.empty() ? "" : ", needs " + printable(check.need)) + "\n";
}

bool is_finding(const Check& check) {
  return check.status == Status::kFail || check.status == Status::kWarn;
}

// The ids of the questions that stayed open.
std::string open_questions(const Diagnosis& diagnosis) {
  std::string ids;
  for (const Check& check : diagnosis.checks)
    if (check.status == Status::kSkip && !check.need.empty()) ids += (ids.empty() ? "" : ", ") + check.id;
  return ids;
}

}  // namespace

std::string to_text(const Diagnosis& diagnosis, bool colour) {
  std::string text;
  for (const Check& check : diagnosis.checks)
    if (!is_finding(check)) text += line(check, colour);
  for (const Check& check : diagnosis.checks)
    if (is_finding(check)) text += "\n" + block(check, colour);
  text += std::string("\nverdict: ") + name_of(diagnosis.verdict);
  if (diagnosis.verdict == Verdict::kUnknown) text += ": could not be checked: " + open_questions(diagnosis);
  if (diagnosis.verdict == Verdict::kCompatible && diagnosis.libc == bundle::LibcChoice::kBundled)
    text += " with the bundled libc";
  return text + "\n";
}

std::string to_json(const Diagnosis& diagnosis) {
  nlohmann::ordered_json json = {{"verdict", name_of(diagnosis.verdict)},
                                 {"libc", libc_name(diagnosis.libc)},
                                 {"checks", nlohmann::ordered_json::array()},
                                 {"devices", nlohmann::ordered_json::array()}};
  for (const Check& check : diagnosis.checks)
    json["checks"].push_back({{"id", check.id},
                              {"status", name_of(check.status)},
                              {"code", check.code},
                              {"found", check.found},
                              {"source", check.source},
                              {"need", check.need},
                              {"why", check.why},
                              {"fix", check.fix}});
  for (const Device& device : diagnosis.devices) {
    json["devices"].push_back({{"index", device.index},
                               {"name", device.name},
                               {"uuid", device.uuid},
                               {"capability", device.capability},
                               {"memory_bytes", device.memory_bytes}});
    if (device.free_bytes) json["devices"].back()["free_bytes"] = *device.free_bytes;
  }
  return json.dump(2, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void require_compatible(const Diagnosis& diagnosis, const std::string& bundle_name, Warnings warnings) {
  std::string text, codes;
  for (const Check& check : diagnosis.checks) {
    const bool failed = check.status == Status::kFail;
    if (failed || (check.status == Status::kWarn && warnings == Warnings::kShow)) text += block(check, false);
    if (failed && codes.find(check.code) == std::string::npos) codes += (codes.empty() ? "" : ", ") + check.code;
  }
  if (diagnosis.verdict == Verdict::kUnknown && warnings == Warnings::kShow)
    text += "warning: whether this host can run '" + bundle_name +
            "' is unknown: could not be checked: " + open_questions(diagnosis) + "\n";
  std::fwrite(text.data(), 1, text.size(), stderr);
  if (diagnosis.verdict != Verdict::kIncompatible) return;
  throw bundle::Error(diagnosis.storage_only ? bundle::ErrorKind::kStorage : bundle::ErrorKind::kIncompatible,
                      "this host cannot run '" + bundle_name + "': " + codes + ": nothing was changed");
}

}  // namespace holdall::launcher
