// A session store as a test's thread sees it: each call waits for its answer.
#pragma once
#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <string>
#include <utility>

#include "base/loop_thread.hpp"
#include "store/session_store.hpp"

namespace p2p::test {

inline Ref<GBytes>
store_bytes (const std::string &text) {
  return Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
}

inline std::string
store_text (const Ref<GBytes> &bytes) {
  gsize size = 0;
  const auto *data = static_cast<const char *> (g_bytes_get_data (bytes.get (), &size));
  return {data ? data : "", size};
}

class StoreDriver final : private SessionStore::Observer {
 public:
  using Items = std::vector<std::pair<std::string, std::string>>;

  // `make` runs on the core thread.
  explicit StoreDriver (const std::function<std::unique_ptr<SessionStore> ()> &make) {
    core_loop ().run_sync ([&] {
      store_ = make ();
      if (store_) store_->set_observer (this);
    });
  }
  ~StoreDriver () override { destroy (); }

  void destroy () {
    core_loop ().run_sync ([&] { store_.reset (); });
  }
  Result<SessionStore::Opened> open (const std::string &owner = "alice") {
    return wait<Result<SessionStore::Opened>> (
        [&] (auto answer) { store_->open (owner, std::move (answer)); });
  }
  // The items, after an open that must work.
  Items must_open (const std::string &owner = "alice") {
    auto opened = open (owner);
    EXPECT_TRUE (opened.ok ()) << opened.error ().message;
    Items items;
    if (!opened) return items;
    term = opened->term;
    for (const StoreItem &item : opened->items)
      items.emplace_back (item.key, store_text (item.value));
    return items;
  }
  Status commit (StoreBatch batch) {
    return wait<Status> (
        [&] (auto answer) { store_->commit (std::move (batch), std::move (answer)); });
  }
  Status put (const std::string &key, const std::string &value) {
    return commit ({StoreChange::put (key, store_bytes (value))});
  }
  Status close () {
    return wait<Status> ([&] (auto answer) { store_->close (std::move (answer)); });
  }
  // On the core thread.
  void with (const std::function<void (SessionStore &)> &work) {
    core_loop ().run_sync ([&] { work (*store_); });
  }
  Status lost () {
    Status lost;
    core_loop ().run_sync ([&] { lost = lost_; });
    return lost;
  }
  int losses () {
    int count = 0;
    core_loop ().run_sync ([&] { count = losses_; });
    return count;
  }

  std::uint64_t term = 0;

 private:
  void store_lost (const Error &error) override {
    lost_ = error;
    ++losses_;
  }

  template <class Answer, class Call>
  Answer wait (Call call) {
    auto answer = std::make_shared<std::promise<Answer>> ();
    auto future = answer->get_future ();
    core_loop ().run_sync (
        [&] { call ([answer] (const Answer &value) { answer->set_value (value); }); });
    const bool came = future.wait_for (std::chrono::seconds (60)) == std::future_status::ready;
    EXPECT_TRUE (came) << "the store does not answer";
    return came ? future.get () : Answer (Error{P2P_ERROR_TIMED_OUT, "no answer"});
  }

  std::unique_ptr<SessionStore> store_;
  Status lost_;
  int losses_ = 0;
};

}  // namespace p2p::test
