// Two ends connect on whatever addresses this network has, and say over which pair: for tests that
// make a network of their own. Exit code 0 when a datagram went both ways.
#include <iostream>

#include "ice_fixture.hpp"

int
main (int argc, char **argv) {
  testing::InitGoogleTest (&argc, argv);
  p2p::test::IceCouple couple;
  p2p::IceConfig a, b;
  a.controlling = true;
  // A failure in here is printed by GoogleTest, with its reason.
  if (!couple.connect (a, b)) return 1;
  if (!couple.wait_usable ()) {
    std::cout << "no pair was found" << std::endl;
    return 1;
  }
  if (!couple.exchange ("alone in the world")) {
    std::cout << "no datagram arrived" << std::endl;
    return 1;
  }
  p2p::test::on_core ([&] { std::cout << couple.a.pairs.back ().local << std::endl; });
  return 0;
}
