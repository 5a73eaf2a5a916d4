// The line that is logged of each edit that ended.
#pragma once

#include "runtime/service/edits/edit_queue.h"
#include "runtime/service/edits/edit_reply.h"

namespace holdall::runtime::service {

void log_edit(const EditSummary& summary, const EditOutcome& outcome);

}  // namespace holdall::runtime::service
