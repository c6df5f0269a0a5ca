// Feeds a fuzz target its seeds and a fixed set of mutations of them: what every build can check
// without a fuzzer. It fails by a crash, a sanitizer's report or a fatal critical.
#include <gio/gio.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput (const std::uint8_t *data, std::size_t size);

namespace {

constexpr int kMutationsPerSeed = 20000;
std::string seed_directory;

std::vector<std::string>
read_seeds () {
  std::vector<std::string> seeds;
  GDir *directory = g_dir_open (seed_directory.c_str (), 0, nullptr);
  if (!directory) return seeds;
  while (const char *name = g_dir_read_name (directory)) {
    char *text = nullptr;
    gsize size = 0;
    if (g_file_get_contents ((seed_directory + "/" + name).c_str (), &text, &size, nullptr))
      seeds.emplace_back (text, size);
    g_free (text);
  }
  g_dir_close (directory);
  return seeds;
}

void
feed (const std::string &input) {
  LLVMFuzzerTestOneInput (reinterpret_cast<const std::uint8_t *> (input.data ()), input.size ());
}

}  // namespace

TEST (FuzzTarget, TakesItsSeedsAndMutationsOfThem) {
  const std::vector<std::string> seeds = read_seeds ();
  ASSERT_FALSE (seeds.empty ()) << "no seeds in " << seed_directory;
  std::mt19937 random (1);
  feed ("");
  for (const std::string &seed : seeds) {
    feed (seed);
    for (std::size_t size = 0; size < seed.size (); ++size) feed (seed.substr (0, size));
    for (int i = 0; i < kMutationsPerSeed && !seed.empty (); ++i) {
      std::string changed = seed;
      for (unsigned n = 1 + random () % 4; n > 0; --n)
        changed[random () % changed.size ()] = static_cast<char> (random ());
      if (random () % 4 == 0) changed.insert (random () % changed.size (), seed);
      feed (changed);
    }
  }
}

int
main (int argc, char **argv) {
  testing::InitGoogleTest (&argc, argv);
  if (argc > 1) seed_directory = argv[1];
  return RUN_ALL_TESTS ();
}
