// A fresh SystemC kernel while it lives: several simulations in one process must not see each other. Modules are
// destroyed before it.
#ifndef WEFT_SIM_KERNEL_CONTEXT_H
#define WEFT_SIM_KERNEL_CONTEXT_H

#include <memory>
#include <systemc>

namespace weft {

class kernel_context {
 public:
  kernel_context() : context(new sc_core::sc_simcontext), before(sc_core::sc_curr_simcontext) {
    sc_core::sc_curr_simcontext = context.get();
  }
  ~kernel_context() {
    context.reset();
    sc_core::sc_curr_simcontext = before;
  }
  kernel_context(const kernel_context &) = delete;
  kernel_context &operator=(const kernel_context &) = delete;

 private:
  std::unique_ptr<sc_core::sc_simcontext> context;
  sc_core::sc_simcontext *before;
};

}  // namespace weft
#endif
