// What clients are told of an edit: the images reply, and the events of a stream.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/edits/edit_request.h"

namespace holdall::runtime::service {

// What replies, logs and the audit need of a request after its pictures have gone to the queue.
struct EditSummary {
  std::string request_id, prompt_sha256, images_sha256, parameters_digest, format;
  std::size_t images = 0, position = 0;
  int n = 1;
  std::string operation = "image_edit";  // what its events are named after
  std::vector<std::string> urls{};       // of the pictures, where the reply is to name them instead of holding them
};

EditSummary summarize(const EditRequest& edit, const std::string& request_id);

// Encoded, in order.
std::vector<std::span<const std::byte>> pictures_of(const EditRequest& edit);
std::vector<std::span<const std::byte>> pictures_of(const EditResult& result);

// The sha256 of the pictures' sha256s, in order; of one picture, its own.
std::string digest_of(const EditResult& result);

// {"created":…,"data":[{"b64_json":…,"seed":…}],…}: one line.
std::string images_json(const EditSummary& summary, const EditResult& result);
HttpReply images_reply(const EditSummary& summary, const EditResult& result);

// Data of the events that are named OPERATION.progress, .partial_image and .completed.
std::string partial_json(const EditSummary& summary, int index, const EditedPicture& picture);
std::string progress_json(const EditSummary& summary, const EditProgress& progress);
std::string completed_json(const EditSummary& summary, const EditResult& result);
// {"error":{…}}
std::string error_json(const HttpError& error);

}  // namespace holdall::runtime::service
