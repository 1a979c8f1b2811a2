// Session: octets choose the steps of a peer that has the keys, and a plain model of what stands is compared with what
// ours holds after each of them: IKE SA up or down, which Child SAs, which SPIs, on which path, one response for each
// request. The first octet says how it is set up (session_set_up.hpp): with additional key exchanges, several rounds of
// authentication, MOBIKE. At the end the peer falls silent, and nothing may be left. A difference aborts. For the
// fuzzer and for seeded runs.
#pragma once

#include "base/bytes.hpp"

namespace culvert::liar {

void run_session(ByteView choices);

}  // namespace culvert::liar
