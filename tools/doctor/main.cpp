// p2p-doctor: what `p2pcat doctor` runs.
#include <p2p/p2p-version.h>

#include <cstdio>

#include "doctor/doctor.hpp"
#include "doctor/report.hpp"

namespace p2p::doctor {
namespace {

constexpr int kUsageError = 2;

int
main (int argc, char **argv) {
  g_set_prgname ("p2pcat doctor");
  auto request = parse_command_line (argc, argv);
  if (!request) {
    std::fprintf (stderr, "p2pcat doctor: %s\n", request.error ().message.c_str ());
    return kUsageError;
  }
  if (request->version) {
    std::printf ("p2pcat doctor %d.%d.%d\n", P2P_MAJOR_VERSION, P2P_MINOR_VERSION,
                 P2P_MICRO_VERSION);
    return 0;
  }
  const bool json = request->json;
  const auto context = Ref<GMainContext>::adopt (g_main_context_new ());
  g_main_context_push_thread_default (context.get ());
  Findings findings;
  {
    const auto loop = Ref<GMainLoop>::adopt (g_main_loop_new (context.get (), FALSE));
    LoopScheduler scheduler (context.get ());
    const Doctor doctor (context.get (), scheduler, std::move (*request),
                         [&] (const Findings &found) {
                           findings = found;
                           g_main_loop_quit (loop.get ());
                         });
    g_main_loop_run (loop.get ());
  }
  // What was cancelled frees what it holds.
  while (g_main_context_iteration (context.get (), FALSE)) {
  }
  const Verdict verdict = judge (findings);
  const std::string text =
      json ? report_json (findings, verdict) : report_table (findings, verdict);
  std::fputs (text.c_str (), stdout);
  std::fflush (stdout);
  g_main_context_pop_thread_default (context.get ());
  return verdict.exit_code ();
}

}  // namespace
}  // namespace p2p::doctor

int
main (int argc, char **argv) {
  return p2p::doctor::main (argc, argv);
}
