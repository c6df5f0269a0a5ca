// A session store that an application implements, as the core sees it; and the library's own, as an
// application sees it.
#include "object_store.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <map>

#include "support/store_driver.hpp"
#include "support/temp_folder.hpp"

using p2p::StoreChange;
using p2p::test::store_bytes;
using p2p::test::store_text;
using p2p::test::StoreDriver;

namespace {

// What the application's store did; shared by several objects, as a database would be.
struct Database {
  std::map<std::string, std::string> items;
  guint64 term = 0;
  std::atomic<int> commits{0}, closes{0}, under_way{0}, most_under_way{0};
  std::atomic<bool> fails{false};
};

struct AppStore {
  GObject parent_instance;
  Database *database;
};
struct AppStoreClass {
  GObjectClass parent_class;
};

GPtrArray *
all_items (const Database &database) {
  GPtrArray *items = g_ptr_array_new_with_free_func (
      [] (gpointer change) { p2p_store_change_unref (static_cast<P2pStoreChange *> (change)); });
  for (const auto &[key, value] : database.items)
    g_ptr_array_add (items, p2p_store_change_new_put (key.c_str (), store_bytes (value).get ()));
  return items;
}

void
apply (Database &database, P2pStoreChange *change) {
  const char *key = p2p_store_change_get_key (change);
  switch (p2p_store_change_get_kind (change)) {
    case P2P_STORE_CHANGE_KIND_PUT:
      database.items[key] =
          store_text (p2p::Ref<GBytes>::share (p2p_store_change_get_value (change)));
      break;
    case P2P_STORE_CHANGE_KIND_ERASE:
      EXPECT_EQ (p2p_store_change_get_value (change), nullptr);
      EXPECT_EQ (p2p_store_change_get_end (change), nullptr);
      database.items.erase (key);
      break;
    case P2P_STORE_CHANGE_KIND_ERASE_RANGE:
      database.items.erase (database.items.lower_bound (key),
                            database.items.lower_bound (p2p_store_change_get_end (change)));
      break;
  }
}

// Answers at the next turn of the context that it was called in.
void
answer_later (GTask *task) {
  GSource *source = g_idle_source_new ();
  g_task_attach_source (task, source, [] (gpointer data) -> gboolean {
    auto *self = static_cast<GTask *> (data);
    auto *store = static_cast<AppStore *> (g_task_get_source_object (self));
    store->database->under_way--;
    if (store->database->fails)
      g_task_return_new_error (self, G_IO_ERROR, G_IO_ERROR_NO_SPACE, "The application is full.");
    else
      g_task_return_boolean (self, TRUE);
    return G_SOURCE_REMOVE;
  });
  g_source_unref (source);
  g_object_unref (task);
}

void
begin (Database &database) {
  const int now = ++database.under_way;
  if (now > database.most_under_way) database.most_under_way = now;
}

gboolean
finish (P2pSessionStore *, GAsyncResult *result, GError **error) {
  return g_task_propagate_boolean (G_TASK (result), error);
}

void
app_store_iface_init (P2pSessionStoreInterface *iface) {
  iface->open_async = [] (P2pSessionStore *self, const char *owner, GCancellable *cancellable,
                          GAsyncReadyCallback callback, gpointer user_data) {
    EXPECT_STREQ (owner, "alice");
    Database &database = *reinterpret_cast<AppStore *> (self)->database;
    begin (database);
    ++database.term;
    answer_later (g_task_new (self, cancellable, callback, user_data));
  };
  iface->open_finish = [] (P2pSessionStore *self, GAsyncResult *result, guint64 *term,
                           GError **error) -> GPtrArray * {
    if (!g_task_propagate_boolean (G_TASK (result), error)) return nullptr;
    Database &database = *reinterpret_cast<AppStore *> (self)->database;
    *term = database.term;
    return all_items (database);
  };
  iface->commit_async = [] (P2pSessionStore *self, GPtrArray *changes, GCancellable *cancellable,
                            GAsyncReadyCallback callback, gpointer user_data) {
    Database &database = *reinterpret_cast<AppStore *> (self)->database;
    begin (database);
    database.commits++;
    if (!database.fails)
      for (guint i = 0; i < changes->len; ++i)
        apply (database, static_cast<P2pStoreChange *> (changes->pdata[i]));
    answer_later (g_task_new (self, cancellable, callback, user_data));
  };
  iface->commit_finish = finish;
  iface->close_async = [] (P2pSessionStore *self, GCancellable *cancellable,
                           GAsyncReadyCallback callback, gpointer user_data) {
    Database &database = *reinterpret_cast<AppStore *> (self)->database;
    begin (database);
    database.closes++;
    answer_later (g_task_new (self, cancellable, callback, user_data));
  };
  iface->close_finish = finish;
}

static void
app_store_init (AppStore *) {}
static void
app_store_class_init (AppStoreClass *) {}

G_DEFINE_TYPE_WITH_CODE (AppStore, app_store, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (P2P_TYPE_SESSION_STORE, app_store_iface_init))

// It has the interface and none of its functions.
struct BareStore {
  GObject parent_instance;
};
struct BareStoreClass {
  GObjectClass parent_class;
};
static void
bare_store_init (BareStore *) {}
static void
bare_store_class_init (BareStoreClass *) {}
G_DEFINE_TYPE_WITH_CODE (BareStore, bare_store, G_TYPE_OBJECT,
                         G_IMPLEMENT_INTERFACE (P2P_TYPE_SESSION_STORE, nullptr))

class ObjectStoreTest : public testing::Test {
 protected:
  p2p::Ref<P2pSessionStore> object () {
    auto *store = static_cast<AppStore *> (g_object_new (app_store_get_type (), nullptr));
    store->database = &database_;
    return p2p::Ref<P2pSessionStore>::adopt (P2P_SESSION_STORE (store));
  }
  std::unique_ptr<StoreDriver> driver (const p2p::Ref<P2pSessionStore> &store) {
    return std::make_unique<StoreDriver> ([&] {
      return std::move (*p2p::session_store_of (
          store.get (), p2p::Ref<GMainContext>::share (context_.context ())));
    });
  }

  Database database_;
  p2p::LoopThread context_{"application"};
};

TEST_F (ObjectStoreTest, OpensCommitsAndClosesTheApplicationsStore) {
  database_.items["k"] = "kept";
  database_.term = 4;
  auto store = driver (object ());
  EXPECT_EQ (store->must_open (), (StoreDriver::Items{{"k", "kept"}}));
  EXPECT_EQ (store->term, 5u);
  EXPECT_FALSE (store->commit ({StoreChange::put ("a/1", store_bytes ("1")),
                                StoreChange::put ("a/2", store_bytes ("2")),
                                StoreChange::put ("b", store_bytes ("3")), StoreChange::erase ("k"),
                                StoreChange::erase_range ("a/", "a0")}));
  EXPECT_FALSE (store->close ());
  EXPECT_EQ (database_.items, (std::map<std::string, std::string>{{"b", "3"}}));
  EXPECT_EQ (database_.closes, 1);
}

TEST_F (ObjectStoreTest, AsksOneThingAtATimeAndMakesOneCommitOfWhatWaits) {
  auto store = driver (object ());
  store->must_open ();
  constexpr int kBatches = 100;
  std::vector<int> order;
  std::promise<void> done;
  store->with ([&] (p2p::SessionStore &s) {
    for (int i = 0; i < kBatches; ++i)
      s.commit ({StoreChange::put ("k", store_bytes (std::to_string (i)))},
                [&, i] (const p2p::Status &status) {
                  EXPECT_FALSE (status);
                  order.push_back (i);
                  if (i == kBatches - 1) done.set_value ();
                });
    EXPECT_TRUE (order.empty ());
    EXPECT_GT (s.waiting_bytes (), 0u);
  });
  done.get_future ().wait ();
  EXPECT_EQ (order.size (), std::size_t{kBatches});
  EXPECT_TRUE (std::is_sorted (order.begin (), order.end ()));
  EXPECT_EQ (database_.items["k"], std::to_string (kBatches - 1));
  EXPECT_EQ (database_.commits, 2);
  EXPECT_EQ (database_.most_under_way, 1);
  store->with ([] (p2p::SessionStore &s) { EXPECT_EQ (s.waiting_bytes (), 0u); });
}

TEST_F (ObjectStoreTest, AFailedCommitEndsTheStore) {
  auto store = driver (object ());
  store->must_open ();
  database_.fails = true;
  const p2p::Status status = store->put ("k", "v");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_STORE);
  EXPECT_EQ (status->message, "The application is full.");
  database_.fails = false;
  EXPECT_TRUE (store->put ("k", "w"));
  EXPECT_EQ (store->losses (), 1);
  EXPECT_EQ (database_.commits, 1) << "it was asked again";
}

TEST_F (ObjectStoreTest, TheApplicationTellsThatTheOwnerWasTakenOver) {
  const auto store_object = object ();
  auto store = driver (store_object);
  store->must_open ();
  const p2p::UniqueError reason (g_error_new (P2P_ERROR, P2P_ERROR_FENCED, "Another has it."));
  p2p_session_store_emit_lost (store_object.get (), reason.get ());
  p2p_session_store_emit_lost (store_object.get (), reason.get ());
  const p2p::Status status = store->put ("k", "v");
  ASSERT_TRUE (status);
  EXPECT_EQ (status->code, P2P_ERROR_FENCED);
  EXPECT_EQ (store->losses (), 1);
}

TEST_F (ObjectStoreTest, IsLeftWhileTheApplicationStillWorks) {
  for (int round = 0; round < 20; ++round) {
    auto store = driver (object ());
    store->must_open ();
    int answers = 0;
    p2p::core_loop ().run_sync ([&] {
      store->with ([&] (p2p::SessionStore &s) {
        s.commit ({StoreChange::put ("k", store_bytes ("v"))},
                  [&] (const p2p::Status &) { ++answers; });
      });
      store->destroy ();
    });
    context_.run_sync ([] {});
    EXPECT_EQ (answers, 0);
  }
}

TEST_F (ObjectStoreTest, AStoreWithoutFunctionsFailsInWords) {
  const auto bare = p2p::Ref<P2pSessionStore>::adopt (
      P2P_SESSION_STORE (g_object_new (bare_store_get_type (), nullptr)));
  auto store = driver (bare);
  auto opened = store->open ();
  ASSERT_FALSE (opened.ok ());
  EXPECT_NE (opened.error ().message.find ("lacks a virtual function"), std::string::npos);
}

// From an application's main context, without an agent.
class UriStoreTest : public testing::Test {
 protected:
  GAsyncResult *wait (p2p::Ref<GAsyncResult> &result) {
    while (!result) g_main_context_iteration (nullptr, TRUE);
    return result.get ();
  }
  static void on_done (GObject *, GAsyncResult *result, gpointer data) {
    *static_cast<p2p::Ref<GAsyncResult> *> (data) = p2p::Ref<GAsyncResult>::share (result);
  }
  p2p::test::TempFolder folder_;
};

TEST_F (UriStoreTest, WritesAndReadsAFile) {
  const std::string uri = "sqlite:" + folder_.file ("s.db");
  for (const guint64 round : {1, 2}) {
    GError *error = nullptr;
    const auto store = p2p::Ref<P2pSessionStore>::adopt (
        p2p_session_store_new_for_uri (uri.c_str (), nullptr, &error));
    ASSERT_TRUE (store) << error->message;
    p2p::Ref<GAsyncResult> opened, committed, closed;
    p2p_session_store_open_async (store.get (), "alice", nullptr, on_done, &opened);
    guint64 term = 0;
    GPtrArray *items = p2p_session_store_open_finish (store.get (), wait (opened), &term, &error);
    ASSERT_NE (items, nullptr) << error->message;
    EXPECT_EQ (term, round);
    EXPECT_EQ (items->len, round - 1);
    g_ptr_array_unref (items);
    GPtrArray *changes = g_ptr_array_new ();
    P2pStoreChange *put = p2p_store_change_new_put ("k", store_bytes ("v").get ());
    g_ptr_array_add (changes, put);
    p2p_session_store_commit_async (store.get (), changes, nullptr, on_done, &committed);
    g_ptr_array_unref (changes);
    p2p_store_change_unref (put);
    EXPECT_TRUE (p2p_session_store_commit_finish (store.get (), wait (committed), &error));
    p2p_session_store_close_async (store.get (), nullptr, on_done, &closed);
    EXPECT_TRUE (p2p_session_store_close_finish (store.get (), wait (closed), &error));
  }
}

TEST_F (UriStoreTest, AWrongUriOrKeyFileIsToldAtOnce) {
  for (const auto &[uri, key] :
       std::vector<std::pair<const char *, const char *>>{{"nonsense", nullptr},
                                                          {"sqlite:", nullptr},
                                                          {"sqlite:x?synchronous=maybe", nullptr},
                                                          {"redis://host:0", nullptr},
                                                          {"sqlite:x", "/nowhere/key"}}) {
    GError *error = nullptr;
    EXPECT_EQ (p2p_session_store_new_for_uri (uri, key, &error), nullptr);
    ASSERT_NE (error, nullptr) << uri;
    EXPECT_EQ (error->domain, P2P_ERROR);
    g_error_free (error);
  }
}

TEST_F (UriStoreTest, WhatIsNotOpenCannotCommit) {
  const auto store = p2p::Ref<P2pSessionStore>::adopt (p2p_session_store_new_for_uri (
      ("sqlite:" + folder_.file ("s.db")).c_str (), nullptr, nullptr));
  p2p::Ref<GAsyncResult> committed;
  GPtrArray *changes = g_ptr_array_new ();
  p2p_session_store_commit_async (store.get (), changes, nullptr, on_done, &committed);
  g_ptr_array_unref (changes);
  GError *error = nullptr;
  EXPECT_FALSE (p2p_session_store_commit_finish (store.get (), wait (committed), &error));
  ASSERT_TRUE (g_error_matches (error, P2P_ERROR, P2P_ERROR_STORE));
  g_error_free (error);
}

}  // namespace
