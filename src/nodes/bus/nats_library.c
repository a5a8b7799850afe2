#include "nodes/bus/nats_library.h"

#include "base/check.h"

#include <dlfcn.h>
#include <openssl/ssl.h>
#include <stddef.h>
#include <string.h>

/* The name has the version whose header this was built with: another one may differ in its structs. */
#define TEXT_OF(number) #number
#define LIBRARY_OF(major, minor) "libnats.so." TEXT_OF(major) "." TEXT_OF(minor)
#define LIBRARY LIBRARY_OF(NATS_VERSION_MAJOR, NATS_VERSION_MINOR)

static const struct {
	const char *name;
	size_t at;
} SYMBOLS[] = {
	{"nats_Open", offsetof(struct nats_library, Open)},
	{"nats_CloseAndWait", offsetof(struct nats_library, CloseAndWait)},
	{"nats_GetLastError", offsetof(struct nats_library, GetLastError)},
	{"natsStatus_GetText", offsetof(struct nats_library, Status_GetText)},
	{"natsOptions_Create", offsetof(struct nats_library, Options_Create)},
	{"natsOptions_Destroy", offsetof(struct nats_library, Options_Destroy)},
	{"natsOptions_SetURL", offsetof(struct nats_library, Options_SetURL)},
	{"natsOptions_SetName", offsetof(struct nats_library, Options_SetName)},
	{"natsOptions_SetTimeout", offsetof(struct nats_library, Options_SetTimeout)},
	{"natsOptions_SetIOBufSize", offsetof(struct nats_library, Options_SetIOBufSize)},
	{"natsOptions_SetAllowReconnect", offsetof(struct nats_library, Options_SetAllowReconnect)},
	{"natsOptions_SetIgnoreDiscoveredServers", offsetof(struct nats_library, Options_SetIgnoreDiscoveredServers)},
	{"natsOptions_SetPingInterval", offsetof(struct nats_library, Options_SetPingInterval)},
	{"natsOptions_SetSendAsap", offsetof(struct nats_library, Options_SetSendAsap)},
	{"natsOptions_SetEventLoop", offsetof(struct nats_library, Options_SetEventLoop)},
	{"natsOptions_SetSecure", offsetof(struct nats_library, Options_SetSecure)},
	{"natsOptions_SetExpectedHostname", offsetof(struct nats_library, Options_SetExpectedHostname)},
	{"natsOptions_LoadCATrustedCertificates", offsetof(struct nats_library, Options_LoadCATrustedCertificates)},
	{"natsOptions_LoadCertificatesChain", offsetof(struct nats_library, Options_LoadCertificatesChain)},
	{"natsOptions_SetUserCredentialsFromFiles", offsetof(struct nats_library, Options_SetUserCredentialsFromFiles)},
	{"natsConnection_Connect", offsetof(struct nats_library, Connection_Connect)},
	{"natsConnection_Destroy", offsetof(struct nats_library, Connection_Destroy)},
	{"natsConnection_Status", offsetof(struct nats_library, Connection_Status)},
	{"natsConnection_GetLastError", offsetof(struct nats_library, Connection_GetLastError)},
	{"natsConnection_GetMaxPayload", offsetof(struct nats_library, Connection_GetMaxPayload)},
	{"natsConnection_Buffered", offsetof(struct nats_library, Connection_Buffered)},
	{"natsConnection_ProcessReadEvent", offsetof(struct nats_library, Connection_ProcessReadEvent)},
	{"natsConnection_ProcessWriteEvent", offsetof(struct nats_library, Connection_ProcessWriteEvent)},
	{"natsConnection_Publish", offsetof(struct nats_library, Connection_Publish)},
	{"natsConnection_SubscribeSync", offsetof(struct nats_library, Connection_SubscribeSync)},
	{"natsSubscription_SetPendingLimits", offsetof(struct nats_library, Subscription_SetPendingLimits)},
	{"natsSubscription_GetPending", offsetof(struct nats_library, Subscription_GetPending)},
	{"natsSubscription_NextMsg", offsetof(struct nats_library, Subscription_NextMsg)},
	{"natsSubscription_Destroy", offsetof(struct nats_library, Subscription_Destroy)},
	{"natsMsg_GetData", offsetof(struct nats_library, Msg_GetData)},
	{"natsMsg_GetDataLength", offsetof(struct nats_library, Msg_GetDataLength)},
	{"natsMsg_Destroy", offsetof(struct nats_library, Msg_Destroy)},
};

#define SYMBOL_COUNT (sizeof(SYMBOLS) / sizeof(SYMBOLS[0]))

_Static_assert(SYMBOL_COUNT * sizeof(void *) == sizeof(struct nats_library), "each function has its name");
_Static_assert(sizeof(void (*)(void)) == sizeof(void *), "what dlsym() returns is a function's address");

/* When the process ends, libnats 3.4 frees OpenSSL's list of compression methods, and OpenSSL frees it once more. So
 * the list is taken out of OpenSSL before libnats can find it there; it stays, since contexts may point to it. That is
 * why there is a variable for the whole process here. */
static void keep_compression_methods(void)
{
	static STACK_OF(SSL_COMP) * kept;
	STACK_OF(SSL_COMP) *methods = SSL_COMP_get_compression_methods();
	if (methods == NULL)
		return;
	kept = methods;
	SSL_COMP_set0_compression_methods(NULL);
	CHECK(kept != NULL);
}

bool nats_library_load(struct nats_library *nats, const char **fault)
{
	void *library = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	keep_compression_methods();
	*fault = LIBRARY " cannot be loaded: is it installed?";
	if (library == NULL)
		return false;
	for (size_t i = 0; i < SYMBOL_COUNT; i++) {
		void *symbol = dlsym(library, SYMBOLS[i].name);
		if (symbol == NULL) {
			*fault = LIBRARY " lacks a function that is needed";
			return false;
		}
		CHECK(SYMBOLS[i].at + sizeof(symbol) <= sizeof(*nats));
		memcpy((char *)nats + SYMBOLS[i].at, &symbol, sizeof(symbol));
	}
	return true;
}
