// POST /v1/images/edits and /generations: the form in, the queue, the reply out.
#include <charconv>
#include <cmath>
#include <ctime>
#include <nlohmann/json.hpp>

#include "runtime/error.h"
#include "runtime/service/access/classifier.h"
#include "runtime/service/api.h"
#include "runtime/service/digest.h"
#include "runtime/service/edits/edit_cache.h"
#include "runtime/service/edits/edit_form.h"
#include "runtime/service/edits/edit_log.h"
#include "runtime/service/edits/edit_reply.h"
#include "runtime/service/edits/edit_router.h"
#include "runtime/service/edits/idempotency.h"
#include "runtime/service/fetch/picture_fetcher.h"
#include "runtime/service/http/event_stream.h"
#include "runtime/service/jobs/job_handlers.h"
#include "runtime/service/log.h"
#include "runtime/service/metrics.h"

namespace holdall::runtime::service {
namespace {

constexpr double kMaxTimeoutSeconds = 86'400;

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

class EditHandler final : public RequestHandler {
 public:
  EditHandler(HttpRequest& request, const Caller& caller, ImageTask task, const EditContext& context)
      : request_(request),
        caller_(caller),
        task_(task),
        state_(context.state),
        queue_(context.queue),
        access_(context.access),
        contents_(context.contents),
        context_(context),
        deadline_(deadline_of(request)),
        reader_(make_form_reader(request.header("content-type"))) {}

  void body(std::string_view bytes) override { reader_->feed(bytes); }

  void finish(std::shared_ptr<Exchange> exchange) override {
    EditForm form = reader_->finish();
    if (form.urls.empty()) return edit(exchange, std::move(form));
    context_.fetcher.check(form);
    check(validate(form, rules()));  // what is wrong anyway is told before anything is fetched
    const auto call =
        context_.fetcher.fetch(std::move(form), deadline_, [this, exchange](std::variant<EditForm, HttpError> fetched) {
          go_on(*exchange, [&] {
            if (const auto* error = std::get_if<HttpError>(&fetched)) throw HttpError(*error);
            edit(exchange, std::move(std::get<EditForm>(fetched)));
          });
        });
    exchange->on_gone([call] { call->cancel(); });
  }

 private:
  EditRules rules() const { return rules_of(state_, task_, contents_ != nullptr); }

  void check(const EditRequest& edit) {
    try {
      state_.policy.check(edit.prompt, "prompt");
    } catch (const HttpError&) {
      request_.notes["policy"] = "words";
      throw;
    }
  }

  // Runs what comes after finish() has returned. The exchange keeps this handler until it has replied.
  template <class Step>
  void go_on(Exchange& exchange, Step step) {
    try {
      step();
    } catch (const HttpError& error) {
      exchange.reply(error.reply());
    } catch (const std::exception& error) {
      log_warning("internal_error", {{"id", request_.id}, {"message", error.what()}});
      exchange.reply(HttpError(500, "internal_error", "the service failed to handle this request").reply());
    }
  }

  // What was asked for, with all its pictures.
  struct Asked {
    EditRequest edit;
    std::shared_ptr<EditSummary> summary;
    std::shared_ptr<const EditForm> given;  // where there is an upstream
    std::optional<EditForm> kept;           // of a job
    std::optional<std::string> idempotency_key;
    std::string form_digest;  // where there is an idempotency key
    bool repeatable = false;
  };

  void edit(const std::shared_ptr<Exchange>& exchange, EditForm form) {
    const auto asked = std::make_shared<Asked>();
    if (context_.router.has_upstream()) asked->given = std::make_shared<const EditForm>(form);
    asked->idempotency_key = Idempotency::key_in(request_, caller_.name);
    if (asked->idempotency_key) {
      asked->form_digest = Idempotency::digest_of(form, request_.path);
      form.fields.try_emplace("seed", Idempotency::seed_of(*asked->idempotency_key));
    }
    asked->repeatable = form.fields.contains("seed");
    if (wants_async(request_)) asked->kept = form;
    asked->edit = validate(std::move(form), rules());
    if (asked->kept && asked->edit.url)
      throw bad_field("response_format", "'response_format' cannot be 'url' for a job, which holds its pictures",
                      "unsupported_value");
    asked->summary = std::make_shared<EditSummary>(summarize(asked->edit, request_.id));
    request_.notes["prompt_sha256"] = asked->summary->prompt_sha256;
    request_.notes["images_sha256"] = asked->summary->images_sha256;
    request_.notes["parameters_digest"] = asked->summary->parameters_digest;
    check(asked->edit);
    if (!context_.classifier.enabled()) return submit(exchange, std::move(*asked));
    const auto call =
        context_.classifier.check(Classifier::Stage::kBefore, asked->edit.prompt, pictures_of(asked->edit), deadline_,
                                  [this, exchange, asked](const std::optional<HttpError>& refusal) {
                                    go_on(*exchange, [&] {
                                      if (refusal) {
                                        note_refusal(request_, *refusal, "before");
                                        throw HttpError(*refusal);
                                      }
                                      submit(exchange, std::move(*asked));
                                    });
                                  });
    exchange->on_gone([call] { call->cancel(); });
  }

  static void note_refusal(HttpRequest& request, const HttpError& refusal, const char* stage) {
    request.notes["policy"] = refusal.status() == 400 ? stage : "unchecked";
  }

  // What may be edited. From the key's search to the end nothing else runs: no other request with it comes between.
  void submit(const std::shared_ptr<Exchange>& exchange, Asked asked) {
    const EditRequest& edit = asked.edit;
    const auto summary = asked.summary;
    std::optional<std::string> job;  // that the key was given before
    if (asked.idempotency_key)
      job = context_.idempotency.find(*asked.idempotency_key, asked.form_digest, std::time(nullptr));
    const auto remember = [&](const std::string& id) {
      if (asked.idempotency_key)
        context_.idempotency.remember(*asked.idempotency_key, asked.form_digest, id, std::time(nullptr));
    };
    if (asked.kept) {
      if (job && reply_with_job(*exchange, *job)) return;
      charge(edit.n);
      return remember(accept_job(*exchange, std::move(*asked.kept), std::move(asked.edit), *summary));
    }
    const std::string key = asked.repeatable ? result_key(*summary) : "";
    EditListener listener;
    std::function<void(EditOutcome)> answer;
    if (edit.stream)
      answer = stream(exchange, summary, edit.progress, listener);
    else
      answer = [exchange, summary, keep = edit.url ? keeper() : nullptr](const EditOutcome& outcome) {
        const auto* error = std::get_if<HttpError>(&outcome);
        if (error) return exchange->reply(error->reply());
        try {
          if (keep) keep(*summary, std::get<EditResult>(outcome));
          exchange->reply(images_reply(*summary, std::get<EditResult>(outcome)));
        } catch (const HttpError& unkept) {
          exchange->reply(unkept.reply());
        }
      };
    // The exchange, which `answer` holds, keeps the request.
    const auto end = [this, answer, summary, caller = caller_, &request = request_, &context = context_,
                      key](const EditOutcome& outcome) {
      log_edit(*summary, outcome);
      const auto* error = std::get_if<HttpError>(&outcome);
      if (error && error->status() >= 500) context.access.charge(caller, -summary->n);
      const bool is_local = error || std::get<EditResult>(outcome).served_by.empty();
      if (!error) {
        request.notes["result_sha256"] = digest_of(std::get<EditResult>(outcome));
        say_origin(request, std::get<EditResult>(outcome).served_by);
      }
      // Not what settings that were read again meanwhile would have somebody else look at.
      const bool keeps = !error && is_local && !key.empty() && key == result_key(*summary) && context.cache;
      answer(outcome);
      if (keeps) context.cache->put(key, std::get<EditResult>(outcome), std::time(nullptr));
    };
    listener.done = [this, exchange, end](EditOutcome outcome) { look_at(exchange, std::move(outcome), end); };
    if (auto hit = key.empty() || !context_.cache ? std::nullopt : context_.cache->get(key, std::time(nullptr))) {
      remember("");
      say_cache("hit");
      say_origin(request_, "");
      request_.notes["result_sha256"] = digest_of(*hit);
      hit->seconds = {};  // it took none of them
      return answer(std::move(*hit));
    }
    if (context_.router.is_local() && !context_.router.in_progress(key)) queue_.throw_if_full();
    charge(edit.n);
    const auto ticket =
        context_.router.submit({std::move(asked.edit), caller_.name, deadline_}, std::move(listener), key, asked.given);
    remember("");
    if (!key.empty()) say_cache(ticket.joined ? "joined" : "miss");
    summary->position = ticket.position;
    exchange->on_gone([&router = context_.router, id = ticket.id] { router.cancel(id, "client_gone"); });
  }

  // Ends an edit with what the classifier makes of its result.
  void look_at(const std::shared_ptr<Exchange>& exchange, EditOutcome outcome,
               const std::function<void(const EditOutcome&)>& end) {
    if (std::holds_alternative<HttpError>(outcome) || !context_.classifier.enabled()) return end(outcome);
    const auto made = std::make_shared<const EditOutcome>(std::move(outcome));
    const auto call =
        context_.classifier.check(Classifier::Stage::kAfter, "", pictures_of(std::get<EditResult>(*made)), deadline_,
                                  [this, exchange, end, made](const std::optional<HttpError>& refusal) {
                                    go_on(*exchange, [&] {
                                      if (!refusal) return end(*made);
                                      note_refusal(request_, *refusal, "after");
                                      end(*refusal);
                                    });
                                  });
    exchange->on_gone([call] { call->cancel(); });
  }

  // Gives a result's pictures addresses.
  std::function<void(EditSummary&, const EditResult&)> keeper() const {
    const std::string* host = request_.header("host");
    const std::string* scheme = request_.header("x-forwarded-proto");  // of a proxy that speaks TLS for us
    const std::string base =
        std::string(scheme && *scheme == "https" ? "https" : "http") + "://" + (host ? *host : "localhost");
    return [base, contents = contents_, &state = state_](EditSummary& summary, const EditResult& result) {
      try {
        for (const auto& picture : result.pictures)
          summary.urls.push_back(base + contents->put(picture.bytes, "image/" + summary.format, state.url_ttl));
      } catch (const Error& error) {
        log_warning("picture_not_kept", {{"id", summary.request_id}, {"message", error.what()}});
        throw HttpError(500, "picture_not_kept", "the picture was made and cannot be kept: ask for b64_json").final();
      }
    };
  }

  // Of all that decides about the result.
  std::string result_key(const EditSummary& summary) const {
    return sha256_hex(state_.model_identity + "\n" HOLDALL_VERSION "\n" + context_.classifier.identity() + "\n" +
                      summary.operation + "\n" + summary.prompt_sha256 + "\n" + summary.images_sha256 + "\n" +
                      summary.parameters_digest);
  }

  // Who made it. Of what an upstream has made, what we say of our model says nothing.
  static void say_origin(HttpRequest& request, const std::string& upstream) {
    request.reply_headers.emplace_back("x-served-by", upstream.empty() ? "local" : "upstream:" + upstream);
    if (upstream.empty()) return;
    std::erase_if(request.reply_headers, [](const auto& header) {
      return header.first == "x-model-digest" || header.first == "x-env-digest" ||
             header.first == "x-preprocess-short-side";
    });
    request.notes["model_digest"].clear();
  }

  void say_cache(const char* result) {
    context_.metrics.cache_asked(result);
    request_.reply_headers.emplace_back("x-cache", result);
  }

  void charge(int pictures) {
    access_.charge(caller_, pictures);
    for (auto& header : access_.rate_headers(caller_))
      request_.reply_headers.push_back(std::move(header));  // as of now
  }

  // False: it is no job, or one that is no longer kept.
  bool reply_with_job(Exchange& exchange, const std::string& id) const {
    if (id.empty()) return false;
    try {
      exchange.reply(accepted_reply(context_.jobs->find(id, caller_)));
      return true;
    } catch (const HttpError& error) {
      if (error.status() != 404 && error.status() != 410) throw;
      return false;
    }
  }

  // Returns the job's id.
  std::string accept_job(Exchange& exchange, EditForm form, EditRequest edit, const EditSummary& summary) {
    form.fields["seed"] = std::to_string(edit.seed);  // of every attempt
    try {
      const JobView view = context_.jobs->accept({std::move(form), std::move(edit), summary, caller_.name, deadline_});
      exchange.reply(accepted_reply(view));
      return view.job.id;
    } catch (const HttpError&) {
      access_.charge(caller_, -summary.n);
      throw;
    }
  }

  // Replies with events. The reply begins with the first of them, so that what fails before has its own status.
  std::function<void(EditOutcome)> stream(const std::shared_ptr<Exchange>& exchange,
                                          const std::shared_ptr<EditSummary>& summary, bool progress,
                                          EditListener& listener) const {
    const auto begun = std::make_shared<bool>(false);
    const auto send = [exchange, begun](const std::string& text) {
      if (!std::exchange(*begun, true)) exchange->begin(event_stream_head());
      exchange->send(text);
    };
    // Weak: what ticks must not keep what it ticks for.
    exchange->every(state_.heartbeat, [weak = std::weak_ptr(exchange), begun] {
      const auto alive = weak.lock();
      if (!alive) return;
      if (!std::exchange(*begun, true)) alive->begin(event_stream_head());
      alive->send(kHeartbeat);
    });
    if (progress)
      listener.progress = [summary, send](const EditProgress& step) {
        send(event_text(summary->operation + ".progress", progress_json(*summary, step)));
      };
    listener.partial = [summary, send](int index, const EditedPicture& picture) {
      send(event_text(summary->operation + ".partial_image", partial_json(*summary, index, picture)));
    };
    return [exchange, summary, begun, send](const EditOutcome& outcome) {
      const auto* error = std::get_if<HttpError>(&outcome);
      if (error && !*begun) return exchange->reply(error->reply());
      send(error ? event_text("error", error_json(*error))
                 : event_text(summary->operation + ".completed",
                              completed_json(*summary, std::get<EditResult>(outcome))));
      exchange->end();
    };
  }

  HttpRequest& request_;
  const Caller caller_;
  const ImageTask task_;
  const ServiceState& state_;
  EditQueue& queue_;
  Access& access_;
  ContentStore* const contents_;
  const EditContext& context_;
  const std::optional<Clock::time_point> deadline_;
  const std::unique_ptr<FormReader> reader_;
};

}  // namespace

std::unique_ptr<RequestHandler> make_edit_handler(HttpRequest& request, const Caller& caller, ImageTask task,
                                                  const EditContext& context) {
  const ServiceState& state = context.state;
  const bool async = wants_async(request);
  if (async ? !state.admits : !context.router.admits())
    throw HttpError(503, state.reason, state.detail).retry_after(state.reason == "loading" ? 10 : 2);
  if (task == ImageTask::kGeneration && state.edits)
    throw HttpError(400, "unsupported_route",
                    "model '" + state.model + "' only edits: send a picture to '/v1/images/edits'");
  if (!context.jobs && async)
    throw HttpError(400, "jobs_unavailable",
                    "this server keeps no jobs: leave 'Prefer: respond-async' out, or start it with --state", "Prefer");
  if (async || context.router.is_local()) context.queue.throw_if_full();
  return std::make_unique<EditHandler>(request, caller, task, context);
}

}  // namespace holdall::runtime::service
