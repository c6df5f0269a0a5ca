// Look-ups of names answer once, and can be given up at any moment.
#include "ice/name_lookup.hpp"

#include "ice_fixture.hpp"

namespace p2p::test {
namespace {

TEST (NameLookup, AnswersAddressesAndNamesTogether) {
  std::unique_ptr<NameLookup> lookup;
  NameLookup::Answers answers;
  unsigned calls = 0;
  on_core ([&] {
    lookup = std::make_unique<NameLookup> (
        std::vector<std::string>{"192.0.2.1", "::1", "nowhere.invalid", "192.0.2.1"},
        core_loop ().scheduler (), 10 * kSecond, [&] (const NameLookup::Answers &got) {
          answers = got;
          ++calls;
          lookup.reset ();
        });
    EXPECT_EQ (calls, 0U);
  });
  ASSERT_TRUE (wait_until ([&] { return calls > 0; }));
  on_core ([&] {
    EXPECT_EQ (calls, 1U);
    ASSERT_EQ (answers.size (), 3U);
    EXPECT_EQ (answers["192.0.2.1"].ipv4, "192.0.2.1");
    EXPECT_EQ (answers["::1"].ipv6, "::1");
    EXPECT_TRUE (answers["nowhere.invalid"].ipv4.empty ());
    EXPECT_FALSE (answers["nowhere.invalid"].problem.empty ());
  });
}

TEST (NameLookup, EndsAtItsTimeWithWhatIsThere) {
  std::unique_ptr<NameLookup> lookup;
  NameLookup::Answers answers;
  unsigned calls = 0;
  on_core ([&] {
    lookup = std::make_unique<NameLookup> (std::vector<std::string>{"127.0.0.1", "nowhere.invalid"},
                                           core_loop ().scheduler (), 0,
                                           [&] (const NameLookup::Answers &got) {
                                             answers = got;
                                             ++calls;
                                           });
  });
  ASSERT_TRUE (wait_until ([&] { return calls > 0; }));
  on_core ([&] {
    EXPECT_EQ (calls, 1U);
    EXPECT_EQ (answers["127.0.0.1"].ipv4, "127.0.0.1");
    EXPECT_FALSE (answers["nowhere.invalid"].problem.empty ());
    lookup.reset ();
  });
}

TEST (NameLookup, SaysNothingAfterItIsGone) {
  unsigned calls = 0;
  on_core ([&] {
    const NameLookup lookup ({"nowhere.invalid", "127.0.0.1"}, core_loop ().scheduler (), 0,
                             [&] (const NameLookup::Answers &) { ++calls; });
  });
  // A later one has answered, so an earlier one would have.
  std::unique_ptr<NameLookup> second;
  bool answered = false;
  on_core ([&] {
    second = std::make_unique<NameLookup> (std::vector<std::string>{"nowhere.invalid"},
                                           core_loop ().scheduler (), 10 * kSecond,
                                           [&] (const NameLookup::Answers &) { answered = true; });
  });
  ASSERT_TRUE (wait_until ([&] { return answered; }));
  on_core ([&] {
    EXPECT_EQ (calls, 0U);
    second.reset ();
  });
}

}  // namespace
}  // namespace p2p::test
