// The files are frames as they go to the worker (ipc/channel.h): a small header, then parts.
#include "runtime/service/edits/edit_archive.h"

#include <nlohmann/json.hpp>
#include <span>
#include <utility>

#include "runtime/error.h"
#include "runtime/files/files.h"
#include "runtime/ipc/channel.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::json;

void write_frame(const std::filesystem::path& file, const ipc::Frame& frame, Durability durability) {
  const std::string bytes = ipc::encode(frame);
  files::NewFile target(file);
  target.write(std::as_bytes(std::span(bytes)));
  if (durability == Durability::kPowerCut) target.sync();
  target.commit(0600);
}

// `read` makes of the frame what it holds; whatever is wrong with it, the file is.
template <class Read>
auto read_frame(const std::filesystem::path& file, const char* type, Read read) {
  const auto bytes = files::read_file(file);
  try {
    ipc::Decoder decoder;
    decoder.feed(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    auto frame = decoder.next();
    if (!frame) throw Error(ErrorKind::kStorage, "it is cut off");
    const json header = json::parse(frame->header);
    if (header.at("type") != type) throw Error(ErrorKind::kStorage, "it is something else");
    return read(header, std::move(frame->parts));
  } catch (const std::exception& error) {
    throw Error(ErrorKind::kStorage, "cannot use '" + file.string() + "': " + error.what());
  }
}

std::vector<std::byte> to_bytes(const std::string& text) {
  const auto* begin = reinterpret_cast<const std::byte*>(text.data());
  return {begin, begin + text.size()};
}

}  // namespace

// Fields are a part: they may be larger than a header may.
void write_form(const std::filesystem::path& file, const EditForm& form) {
  ipc::Frame frame{json{{"type", "form"}, {"mask", form.mask.has_value()}}.dump(), {}};
  frame.parts.push_back(to_bytes(json(form.fields).dump(-1, ' ', false, json::error_handler_t::replace)));
  if (form.mask) frame.parts.push_back(*form.mask);
  frame.parts.insert(frame.parts.end(), form.images.begin(), form.images.end());
  write_frame(file, frame, Durability::kPowerCut);
}

EditForm read_form(const std::filesystem::path& file) {
  return read_frame(file, "form", [](const json& header, std::vector<std::vector<std::byte>> parts) {
    EditForm form;
    const auto& fields = parts.at(0);
    form.fields = json::parse(reinterpret_cast<const char*>(fields.data()),
                              reinterpret_cast<const char*>(fields.data()) + fields.size())
                      .get<std::map<std::string, std::string>>();
    const bool has_mask = header.at("mask");
    if (has_mask) form.mask = std::move(parts.at(1));
    form.images.assign(std::make_move_iterator(parts.begin() + (has_mask ? 2 : 1)),
                       std::make_move_iterator(parts.end()));
    return form;
  });
}

void write_result(const std::filesystem::path& file, const EditResult& result, Durability durability) {
  const StageSeconds& s = result.seconds;
  json pictures = json::array();
  ipc::Frame frame;
  for (const EditedPicture& picture : result.pictures) {
    pictures.push_back(
        {{"width", picture.width}, {"height", picture.height}, {"steps", picture.steps}, {"seed", picture.seed}});
    frame.parts.push_back(picture.bytes);
  }
  frame.header = json{
      {"type", "result"},
      {"created", result.created},
      {"format", result.format},
      {"tokens", {result.tokens.text, result.tokens.pictures}},
      {"seconds", {s.queue, s.text, s.denoise, s.vae, s.encode}},
      {"pictures",
       pictures}}.dump();
  write_frame(file, frame, durability);
}

EditResult read_result(const std::filesystem::path& file) {
  return read_frame(file, "result", [](const json& header, std::vector<std::vector<std::byte>> parts) {
    EditResult result;
    result.created = header.at("created");
    result.format = header.at("format");
    const json& tokens = header.at("tokens");
    result.tokens = {tokens.at(0), tokens.at(1)};
    const json& s = header.at("seconds");
    result.seconds = {s.at(0), s.at(1), s.at(2), s.at(3), s.at(4)};
    for (std::size_t i = 0; i < parts.size(); ++i) {
      const json& picture = header.at("pictures").at(i);
      result.pictures.push_back(
          {std::move(parts[i]), picture.at("width"), picture.at("height"), picture.at("steps"), picture.at("seed")});
    }
    if (result.pictures.empty()) throw Error(ErrorKind::kStorage, "it holds no picture");
    return result;
  });
}

}  // namespace holdall::runtime::service
