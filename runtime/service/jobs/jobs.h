// Edits that are accepted now and asked for later. Each ends exactly once, whatever happens to the worker or to this
// process: what the journal holds unfinished is taken up again. Lives on the service's thread.
#pragma once

#include <boost/asio/steady_timer.hpp>
#include <filesystem>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "runtime/service/api.h"
#include "runtime/service/edits/edit_reply.h"
#include "runtime/service/jobs/job_journal.h"
#include "runtime/service/jobs/job_reply.h"

namespace holdall::runtime::service {

class Jobs {
 public:
  // Everything outlives it. `audit`: null for none. Throws runtime::Error{kStorage}.
  Jobs(boost::asio::io_context& io, const std::filesystem::path& state_folder, const ServiceState& state,
       EditQueue& queue, Access& access, Classifier& classifier, AuditLog* audit);

  // From the next job on.
  void set_limits(const JobLimits& limits) { limits_ = limits; }

  // Takes up what others left behind, now and whenever it appears. Once the model is known.
  void start();
  void stop_taking_up() { takes_up_ = false; }
  // Gives unfinished jobs back to the journal; what runs of them is cancelled, and does not count as an attempt.
  void release();

  struct Order {
    EditForm form;  // what `request` was made of, with its seed
    EditRequest request;
    EditSummary summary;
    std::string caller;
    std::optional<Clock::time_point> deadline;
  };
  // On the disk when this returns. Throws HttpError: 429 if the queue is full, 503 if the disk cannot hold it.
  JobView accept(Order order);

  // Those of other callers are for admins only; to the rest they do not exist. Throw HttpError 404; 410 for one that is
  // no longer kept; 503 where the disk cannot be read.
  JobView find(const std::string& id, const Caller& caller);
  EditResult result(const std::string& id);
  struct Page {
    std::vector<JobView> jobs;
    bool has_more = false;
  };
  Page list(JobJournal::Query query);

  // One that has ended stays as it is; one of another process is cancelled there, soon. Throws HttpError as find().
  JobView cancel(const std::string& id, const Caller& caller);

  // `tell` hears of every event after `after`, from the beginning on, in order; perhaps before this returns. `last`: it
  // was the end, and has no data if nothing of the job was left to tell. Throws as find().
  using Tell = std::function<void(const JobEvent&, bool last)>;
  std::uint64_t watch(const std::string& id, const Caller& caller, EventId after, Tell tell);
  void unwatch(std::uint64_t watcher) { watchers_.erase(watcher); }

 private:
  struct Ending {
    JobStatus status;
    std::string error{};                 // JSON
    std::optional<EditResult> result{};  // of one that succeeded
    int http_status = 200;               // what a caller who had waited would have been told
  };
  struct Live {  // a job of this process that has not ended in the journal
    JobRecord job;
    EditSummary summary;
    std::uint64_t ticket = 0;
    std::optional<EditProgress> progress{};
    std::optional<Ending> ending{};  // that the disk could not take yet
    std::string policy{};            // what refused its result: for the audit log
    Clock::time_point accepted = Clock::now();
  };
  struct Watcher {
    std::string job;
    EventId last;
    Tell tell;
  };

  void run(JobRecord job, EditRequest request, EditSummary summary, std::optional<Clock::time_point> deadline);
  EditListener listener_of(const std::string& id);
  void take_up(JobRecord job);
  void on_started(const std::string& id);
  void on_done(const std::string& id, EditOutcome outcome);
  void conclude(const std::string& id, EditOutcome outcome);
  void end(const std::string& id, Ending ending);
  bool settle(const std::string& id);
  void audit(const Live& live, const Ending& ending) const;
  void add_event(Live& live, const std::string& name, std::string data);
  void tell(const std::string& job, const JobEvent& event, bool last);
  void tell_of_ended(std::uint64_t watcher);
  JobView view_of(const JobRecord& job) const;
  void tick();
  void work();
  void look_after_watchers();

  boost::asio::steady_timer timer_;
  const ServiceState& state_;
  EditQueue& queue_;
  Access& access_;
  Classifier& classifier_;
  AuditLog* const audit_;
  JobJournal journal_;
  JobLimits limits_;
  std::map<std::string, Live> live_;
  std::map<std::uint64_t, Watcher> watchers_;
  std::uint64_t last_watcher_ = 0, ticks_ = 0;
  bool takes_up_ = true;
};

}  // namespace holdall::runtime::service
