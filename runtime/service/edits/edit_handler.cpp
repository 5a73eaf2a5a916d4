// POST /v1/images/edits: the form in, the queue, the reply out.
#include <charconv>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "runtime/service/api.h"
#include "runtime/service/digest.h"
#include "runtime/service/edits/edit_form.h"
#include "runtime/service/http/base64.h"
#include "runtime/service/log.h"

namespace holdall::runtime::service {
namespace {

using nlohmann::ordered_json;

constexpr double kMaxTimeoutSeconds = 86'400;
constexpr int kLatentPixels = 16;  // the side of what one token of the transformer stands for: VAE 8 × patch 2

std::optional<Clock::time_point> deadline_of(const HttpRequest& request) {
  const std::string* text = request.header("x-request-timeout");
  if (!text) return std::nullopt;
  double seconds = 0;
  const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), seconds);
  if (error != std::errc() || end != text->data() + text->size() || !(seconds > 0 && seconds <= kMaxTimeoutSeconds))
    throw bad_field("X-Request-Timeout",
                    "'X-Request-Timeout' must be seconds: a decimal number above 0, at most 86400");
  return request.arrival + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
}

// What a reply and a log line need of a request after its pictures have gone to the queue.
struct EditSummary {
  std::string request_id, prompt_sha256, format;
  std::size_t images = 0, position = 0;
  int n = 1;
};

std::string server_timing(const StageSeconds& seconds) {
  std::string out;
  for (const auto& [name, time] :
       {std::pair{"queue", seconds.queue}, std::pair{"text", seconds.text}, std::pair{"denoise", seconds.denoise},
        std::pair{"vae", seconds.vae}, std::pair{"encode", seconds.encode}})
    out += (out.empty() ? "" : ", ") + std::string(name) + ";dur=" + std::to_string(std::lround(time * 1000));
  return out;
}

HttpReply success(const EditSummary& summary, const EditResult& result) {
  const EditedPicture& first = result.pictures.front();
  std::uint64_t tokens = 0;
  for (const auto& picture : result.pictures)
    tokens += static_cast<std::uint64_t>(picture.width / kLatentPixels) *
              static_cast<std::uint64_t>(picture.height / kLatentPixels);
  const ordered_json rest = {
      {"output_format", summary.format},
      {"size", std::to_string(first.width) + "x" + std::to_string(first.height)},
      {"quality", "auto"},
      {"background", "opaque"},
      {"usage", {{"input_tokens", nullptr}, {"output_tokens", tokens}, {"total_tokens", nullptr}}}};
  // The pictures are written by hand: a JSON value would hold each of them twice more.
  HttpReply reply;
  reply.body = "{\"created\":" + std::to_string(std::time(nullptr)) + ",\"data\":[";
  for (const auto& picture : result.pictures) {
    reply.body += reply.body.back() == '[' ? "{\"b64_json\":\"" : ",{\"b64_json\":\"";
    append_base64(reply.body, picture.bytes);
    reply.body += "\",\"seed\":" + std::to_string(picture.seed) + "}";
  }
  reply.body += "]," + rest.dump().substr(1);
  reply.headers = {{"Server-Timing", server_timing(result.seconds)},
                   {"x-queue-position", std::to_string(summary.position)}};
  return reply;
}

void log_edit(const EditSummary& summary, const EditOutcome& outcome) {
  ordered_json line = {{"id", summary.request_id},
                       {"prompt_sha256", summary.prompt_sha256},
                       {"images", summary.images},
                       {"n", summary.n}};
  if (const auto* error = std::get_if<HttpError>(&outcome)) {
    line.update({{"outcome", "failed"}, {"code", error->code()}, {"message", error->what()}});
    return log_warning("edit", line);
  }
  const StageSeconds& s = std::get<EditResult>(outcome).seconds;
  line.update({{"outcome", "succeeded"},
               {"seconds",
                {{"queue", s.queue}, {"text", s.text}, {"denoise", s.denoise}, {"vae", s.vae}, {"encode", s.encode}}}});
  log_event("edit", line);
}

std::string_view view(const std::vector<std::byte>& bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// The sha256 of the pictures' sha256s, in order; of one picture, its own.
std::string digest_of(const std::vector<std::string>& digests) {
  if (digests.size() == 1) return digests[0];
  std::string all;
  for (const auto& digest : digests) all += digest;
  return sha256_hex(all);
}

std::string digest_of(const std::vector<std::vector<std::byte>>& pictures) {
  std::vector<std::string> digests;
  for (const auto& picture : pictures) digests.push_back(sha256_hex(view(picture)));
  return digest_of(digests);
}

std::string digest_of(const EditResult& result) {
  std::vector<std::string> digests;
  for (const auto& picture : result.pictures) digests.push_back(sha256_hex(view(picture.bytes)));
  return digest_of(digests);
}

// Everything that decides about the result besides the prompt and the pictures.
std::string parameters_of(const EditRequest& edit) {
  ordered_json parameters = {
      {"n", edit.n}, {"seed", edit.seed}, {"format", name_of(edit.format)}, {"compression", edit.compression}};
  if (edit.negative_prompt) parameters["negative_prompt"] = *edit.negative_prompt;
  if (edit.steps) parameters["steps"] = *edit.steps;
  if (edit.true_cfg_scale) parameters["true_cfg_scale"] = *edit.true_cfg_scale;
  if (edit.size) parameters["size"] = {edit.size->width, edit.size->height};
  return parameters.dump();
}

class EditHandler final : public RequestHandler {
 public:
  EditHandler(HttpRequest& request, const Caller& caller, const ServiceState& state, EditQueue& queue, Access& access)
      : request_(request),
        caller_(caller),
        state_(state),
        queue_(queue),
        access_(access),
        deadline_(deadline_of(request)),
        reader_(make_form_reader(request.header("content-type"))) {}

  void body(std::string_view bytes) override { reader_->feed(bytes); }

  void finish(std::shared_ptr<Exchange> exchange) override {
    EditRequest edit = validate(reader_->finish(), {state_.model, state_.max_output_pixels});
    note_digests(edit);
    state_.policy.check(edit.prompt, "prompt");
    queue_.throw_if_full();
    access_.charge(caller_, edit.n);
    request_.reply_headers = access_.rate_headers(caller_);
    const auto summary = std::make_shared<EditSummary>(
        EditSummary{request_.id, sha256_hex(edit.prompt), name_of(edit.format), edit.images.size(), 0, edit.n});
    // The exchange keeps the request.
    const auto done = [exchange, summary, caller = caller_, &request = request_,
                       &access = access_](EditOutcome outcome) {
      log_edit(*summary, outcome);
      if (const auto* error = std::get_if<HttpError>(&outcome)) {
        if (error->status() >= 500) access.charge(caller, -summary->n);
        return exchange->reply(error->reply());
      }
      const auto& result = std::get<EditResult>(outcome);
      request.notes["result_sha256"] = digest_of(result);
      exchange->reply(success(*summary, result));
    };
    const auto ticket = queue_.submit(std::move(edit), deadline_, done);
    summary->position = ticket.position;
    exchange->on_gone([&queue = queue_, id = ticket.id] { queue.cancel(id); });
  }

 private:
  void note_digests(const EditRequest& edit) const {
    request_.notes["prompt_sha256"] = sha256_hex(edit.prompt);
    request_.notes["images_sha256"] = digest_of(edit.images);
    request_.notes["parameters_digest"] = sha256_hex(parameters_of(edit));
  }

  HttpRequest& request_;
  const Caller caller_;
  const ServiceState& state_;
  EditQueue& queue_;
  Access& access_;
  const std::optional<Clock::time_point> deadline_;
  const std::unique_ptr<FormReader> reader_;
};

}  // namespace

std::unique_ptr<RequestHandler> make_edit_handler(HttpRequest& request, const Caller& caller, const ServiceState& state,
                                                  EditQueue& queue, Access& access) {
  if (!state.admits) throw HttpError(503, state.reason, state.detail).retry_after(state.reason == "loading" ? 10 : 2);
  queue.throw_if_full();
  return std::make_unique<EditHandler>(request, caller, state, queue, access);
}

}  // namespace holdall::runtime::service
