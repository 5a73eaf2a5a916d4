#include "runtime/service/http/event_stream.h"

namespace holdall::runtime::service {

std::string event_text(const std::string& name, const std::string& data, const std::string& id) {
  return (id.empty() ? "" : "id: " + id + "\n") + "event: " + name + "\ndata: " + data + "\n\n";
}

HttpReply event_stream_head() {
  HttpReply head;
  head.content_type = "text/event-stream";
  head.headers = {{"Cache-Control", "no-store"}, {"X-Accel-Buffering", "no"}};  // the latter is nginx's
  return head;
}

}  // namespace holdall::runtime::service
