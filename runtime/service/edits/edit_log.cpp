#include "runtime/service/edits/edit_log.h"

#include <nlohmann/json.hpp>

#include "runtime/service/log.h"

namespace holdall::runtime::service {

void log_edit(const EditSummary& summary, const EditOutcome& outcome) {
  nlohmann::ordered_json line = {{"id", summary.request_id},
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

}  // namespace holdall::runtime::service
