// The same question as client.c in C++, and which backends the installed runtime has.
//   client NETWORK MACHINE
#include <cstdio>
#include <memory>
#include <stdexcept>
#include <string>

#include "compiler/compile.h"
#include "runtime/backend.h"
#include "sim/sim.h"

namespace {

void require(weft_status status) {
  if (!status) return;
  std::string message = weft_status_message(status);
  weft_status_free(status);
  throw std::runtime_error(message);
}

double tokens_per_second(const char *network_name, const char *machine_name) {
  weft_network network;
  require(weft_network_read(network_name, &network));
  weft_machine *raw_machine = nullptr;
  require(weft_machine_read(machine_name, &raw_machine));
  std::unique_ptr<weft_machine, decltype(&weft_machine_destroy)> machine(raw_machine, weft_machine_destroy);
  weft_run run = weft_run_default();
  run.mode = WEFT_PREFILL;
  run.batch = 1;
  run.sequence = 128;
  weft_schedule *raw_schedule = nullptr;
  require(weft_compile(&network, machine.get(), &run, &raw_schedule));
  std::unique_ptr<weft_schedule, decltype(&weft_schedule_destroy)> schedule(raw_schedule, weft_schedule_destroy);
  weft_sim_report report;
  require(weft_sim_run(schedule.get(), nullptr, &report));
  return report.tokens_per_second;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 3) return 2;
  try {
    std::printf("%.17g tokens/s\n", tokens_per_second(argv[1], argv[2]));
  } catch (const std::exception &error) {
    std::fprintf(stderr, "client: %s\n", error.what());
    return 1;
  }
  const weft_backend *backend = nullptr;
  weft_status status = weft_backend_find("ref", &backend);
  if (status) {
    std::fprintf(stderr, "client: %s\n", weft_status_message(status));
    weft_status_free(status);
    return 1;
  }
  std::printf("%s\n", backend->name);
  return 0;
}
