// What came of a channel: counted against the numbers 0, 1, 2, … and against the clock.
#pragma once
#include <cstdint>
#include <vector>

#include "report.hpp"

namespace lab {

class Tally {
 public:
  // Of an unreliable channel, what is missing or out of order is no fault.
  explicit Tally (bool reliable, double tell_gap_ms);

  void take (std::uint64_t number, double sent_ms);
  void take_corrupt () { corrupt_++; }
  // No more comes; the other side has sent so many.
  void finish (std::uint64_t sent);
  // Nothing more came, and more was to come.
  void break_off ();

  std::uint64_t received () const { return received_; }
  bool good () const { return corrupt_ == 0 && doubled_ == 0 && (!reliable_ || lost_ == 0); }
  void tell (Line &line, const char *prefix) const;

 private:
  bool is_new (std::uint64_t number);
  void measure_gap (bool open);

  bool reliable_;
  double tell_gap_ms_;
  std::uint64_t expected_ = 0, received_ = 0, lost_ = 0, doubled_ = 0, corrupt_ = 0, late_ = 0;
  std::vector<bool> seen_;
  double last_ms_ = 0, max_gap_ms_ = 0, max_gap_from_ms_ = 0, max_delay_ms_ = 0;
  unsigned gaps_told_ = 0;
};

}  // namespace lab
