/* libnats, loaded when a node of a cluster first needs it, so that a gateway that is alone neither maps it nor needs it
 * to be there. Functions under their own names without "nats". One thread: the nodes thread. */
#ifndef NODES_NATS_LIBRARY_H
#define NODES_NATS_LIBRARY_H

#include <nats/nats.h>
#include <stdbool.h>

struct nats_library {
	__typeof__(nats_Open) *Open;
	__typeof__(nats_CloseAndWait) *CloseAndWait;
	__typeof__(nats_GetLastError) *GetLastError;
	__typeof__(natsStatus_GetText) *Status_GetText;
	__typeof__(natsOptions_Create) *Options_Create;
	__typeof__(natsOptions_Destroy) *Options_Destroy;
	__typeof__(natsOptions_SetURL) *Options_SetURL;
	__typeof__(natsOptions_SetName) *Options_SetName;
	__typeof__(natsOptions_SetTimeout) *Options_SetTimeout;
	__typeof__(natsOptions_SetIOBufSize) *Options_SetIOBufSize;
	__typeof__(natsOptions_SetAllowReconnect) *Options_SetAllowReconnect;
	__typeof__(natsOptions_SetIgnoreDiscoveredServers) *Options_SetIgnoreDiscoveredServers;
	__typeof__(natsOptions_SetPingInterval) *Options_SetPingInterval;
	__typeof__(natsOptions_SetSendAsap) *Options_SetSendAsap;
	__typeof__(natsOptions_SetEventLoop) *Options_SetEventLoop;
	__typeof__(natsOptions_SetSecure) *Options_SetSecure;
	__typeof__(natsOptions_SetExpectedHostname) *Options_SetExpectedHostname;
	__typeof__(natsOptions_LoadCATrustedCertificates) *Options_LoadCATrustedCertificates;
	__typeof__(natsOptions_LoadCertificatesChain) *Options_LoadCertificatesChain;
	__typeof__(natsOptions_SetUserCredentialsFromFiles) *Options_SetUserCredentialsFromFiles;
	__typeof__(natsConnection_Connect) *Connection_Connect;
	__typeof__(natsConnection_Destroy) *Connection_Destroy;
	__typeof__(natsConnection_Status) *Connection_Status;
	__typeof__(natsConnection_GetLastError) *Connection_GetLastError;
	__typeof__(natsConnection_GetMaxPayload) *Connection_GetMaxPayload;
	__typeof__(natsConnection_Buffered) *Connection_Buffered;
	__typeof__(natsConnection_ProcessReadEvent) *Connection_ProcessReadEvent;
	__typeof__(natsConnection_ProcessWriteEvent) *Connection_ProcessWriteEvent;
	__typeof__(natsConnection_Publish) *Connection_Publish;
	__typeof__(natsConnection_SubscribeSync) *Connection_SubscribeSync;
	__typeof__(natsSubscription_SetPendingLimits) *Subscription_SetPendingLimits;
	__typeof__(natsSubscription_GetPending) *Subscription_GetPending;
	__typeof__(natsSubscription_NextMsg) *Subscription_NextMsg;
	__typeof__(natsSubscription_Destroy) *Subscription_Destroy;
	__typeof__(natsMsg_GetData) *Msg_GetData;
	__typeof__(natsMsg_GetDataLength) *Msg_GetDataLength;
	__typeof__(natsMsg_Destroy) *Msg_Destroy;
};

/* Loads it; it stays until the process ends. Its threads begin with Open() and end with CloseAndWait(). On failure
 * returns false and sets *fault to static text. */
bool nats_library_load(struct nats_library *nats, const char **fault);

#endif
