// A request in the shape of OpenAI's API, and its answer.
#pragma once

#include <string>

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/http/http_call.h"

namespace holdall::runtime::service {

// POST /images/edits as multipart, /images/generations as JSON. `model`: instead of the form's; empty: none.
HttpQuestion question_of(const EditForm& form, ImageTask task, const std::string& model);

// Throws nlohmann's exceptions or std::runtime_error if it holds no pictures.
EditResult result_of(const std::string& body, const EditRequest& request);

// What an error's body says, or the status alone; `param` and `code` where they are texts.
HttpError error_of(const HttpAnswer& answer, const std::string& who);

}  // namespace holdall::runtime::service
