// What control asks of the endpoint, one function per command.
#pragma once

#include "ike/face.hpp"
#include "ike/v2/core.hpp"

namespace culvert::ike::v2 {

void handle(Core& core, ConfigureConnection command);
void handle(Core& core, const RemoveConnection& command);
void handle(Core& core, const Initiate& command);
void handle(Core& core, const CreateChildSa& command);
void handle(Core& core, const Terminate& command);
void handle(Core& core, const TerminateIkeSa& command);
void handle(Core& core, const RekeyIkeSa& command);
void handle(Core& core, const RekeyChildSa& command);
void handle(Core& core, const DeleteChildSa& command);
void handle(Core& core, const CheckLiveness& command);
void handle(Core& core, const PeerAlive& command);
void handle(Core& core, const PeerMoved& command);
void handle(Core& core, OwnAddresses command);
void handle(Core& core, const ReviewPath& command);
void handle(Core& core, const UsePaths& command);
void handle(Core& core, const TryPath& command);
void handle(Core& core, const UnknownEspSpi& command);
void handle(Core& core, const Reauthenticate& command);
void handle(Core& core, const RedirectPeers& command);
void handle(Core& core, const UseSecrets& command);
void handle(Core& core, const TakeOver& command);
void handle(Core& core, const StreamReopened& command);
void handle(Core& core, const Shutdown& command);

}  // namespace culvert::ike::v2
