#include <gtest/gtest.h>

#include "store/memory_store.hpp"
#include "support/fault_store.hpp"

namespace p2p {
namespace {

Ref<GBytes>
bytes (const std::string &text) {
  return Ref<GBytes>::adopt (g_bytes_new (text.data (), text.size ()));
}

struct Watcher : SessionStore::Observer {
  void store_lost (const Error &error) override {
    ++count;
    lost = error;
  }
  int count = 0;
  Status lost;
};

class MemoryStoreTest : public testing::Test {
 protected:
  SessionStore::Opened open (SessionStore &store, const std::string &owner = "alice") {
    std::optional<Result<SessionStore::Opened>> result;
    store.open (owner, [&] (auto opened) { result = std::move (opened); });
    EXPECT_FALSE (result) << "answered from inside the call";
    EXPECT_TRUE (scheduler.run_until_true ([&] { return result.has_value (); }));
    EXPECT_TRUE (result->ok ());
    return result->ok () ? std::move (**result) : SessionStore::Opened{};
  }
  Status commit (SessionStore &store, StoreBatch batch) {
    std::optional<Status> result;
    store.commit (std::move (batch), [&] (const Status &status) { result = status; });
    EXPECT_TRUE (scheduler.run_until_true ([&] { return result.has_value (); }));
    return *result;
  }

  VirtualScheduler scheduler;
  std::shared_ptr<MemoryDisk> disk = std::make_shared<MemoryDisk> ();
};

TEST_F (MemoryStoreTest, WhatWasCommittedIsThereForTheNextHolderUnderAHigherTerm) {
  auto first = std::make_unique<MemoryStore> (scheduler, disk);
  EXPECT_EQ (open (*first).term, 1u);
  EXPECT_FALSE (
      commit (*first, {StoreChange::put ("a", bytes ("1")), StoreChange::put ("b/1", bytes ("2")),
                       StoreChange::put ("b/2", bytes ("3"))}));
  EXPECT_FALSE (commit (*first, {StoreChange::erase_range ("b/", "b0")}));
  first.reset ();
  MemoryStore second (scheduler, disk);
  const auto opened = open (second);
  EXPECT_EQ (opened.term, 2u);
  ASSERT_EQ (opened.items.size (), 1u);
  EXPECT_EQ (opened.items[0].key, "a");
}

TEST_F (MemoryStoreTest, ALivingHolderKeepsOthersOut) {
  MemoryStore first (scheduler, disk), second (scheduler, disk);
  open (first);
  std::optional<Result<SessionStore::Opened>> result;
  second.open ("alice", [&] (auto opened) { result = std::move (opened); });
  ASSERT_TRUE (scheduler.run_until_true ([&] { return result.has_value (); }));
  ASSERT_FALSE (result->ok ());
  EXPECT_EQ (result->error ().code, P2P_ERROR_FENCED);
  open (second, "bob");
}

TEST_F (MemoryStoreTest, AHolderThatWasTakenOverWritesNothing) {
  MemoryStore first (scheduler, disk, {0, true}), second (scheduler, disk, {0, true});
  Watcher watcher;
  first.set_observer (&watcher);
  open (first);
  open (second);
  const Status status = commit (first, {StoreChange::put ("a", bytes ("1"))});
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_FENCED);
  EXPECT_TRUE (commit (first, {StoreChange::put ("a", bytes ("1"))}));
  EXPECT_EQ (watcher.count, 1);
  EXPECT_TRUE (disk->owners["alice"].items.empty ());
}

TEST_F (MemoryStoreTest, CountsWhatWaits) {
  MemoryStore store (scheduler, disk, {5 * kMillisecond, false});
  open (store);
  int done = 0;
  store.commit ({StoreChange::put ("key", bytes ("value"))}, [&] (const Status &) { ++done; });
  EXPECT_EQ (store.waiting_bytes (), 8u);
  scheduler.run_for (4 * kMillisecond);
  EXPECT_EQ (done, 0);
  scheduler.run_for (kMillisecond);
  EXPECT_EQ (done, 1);
  EXPECT_EQ (store.waiting_bytes (), 0u);
}

// The tests of sessions lean on this one.
TEST_F (MemoryStoreTest, AFaultEndsItBeforeAmidstOrAfterTheGivenWrite) {
  using When = test::FaultPlan::When;
  for (const auto &[when, written, answered] :
       {std::tuple (When::before, 1, 1), std::tuple (When::midst, 2, 1),
        std::tuple (When::after, 2, 2)}) {
    disk = std::make_shared<MemoryDisk> ();
    test::FaultPlan plan;
    plan.end_at = 2;
    plan.when = when;
    plan.late_us = 10 * kMillisecond;
    int ends = 0, answers = 0;
    plan.ended = [&] { ++ends; };
    test::FaultStore store (std::make_unique<MemoryStore> (scheduler, disk), scheduler, plan);
    open (store);
    for (int i = 1; i <= 4; ++i)
      store.commit ({StoreChange::put ("k" + std::to_string (i), bytes ("v"))},
                    [&] (const Status &) { ++answers; });
    scheduler.run_for (kSecond);
    EXPECT_EQ (ends, 1);
    EXPECT_EQ (answers, answered);
    EXPECT_EQ (disk->owners["alice"].items.size (), static_cast<std::size_t> (written));
  }
}

TEST_F (MemoryStoreTest, AFaultAnswersWithErrorsFromTheGivenWriteOn) {
  test::FaultPlan plan;
  plan.fail_at = 2;
  test::FaultStore store (std::make_unique<MemoryStore> (scheduler, disk), scheduler, plan);
  Watcher watcher;
  store.set_observer (&watcher);
  open (store);
  EXPECT_FALSE (commit (store, {StoreChange::put ("a", bytes ("1"))}));
  EXPECT_TRUE (commit (store, {StoreChange::put ("b", bytes ("2"))}));
  EXPECT_TRUE (commit (store, {StoreChange::put ("c", bytes ("3"))}));
  EXPECT_EQ (watcher.count, 1);
  EXPECT_EQ (disk->owners["alice"].items.size (), 1u);
}

}  // namespace
}  // namespace p2p
