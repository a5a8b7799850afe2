/* paho_transports URL VERSION CA_FILE [CERTIFICATE KEY]: Paho for C sends itself messages of all sizes and prints "ok",
 * or what went wrong. CA_FILE "": no TLS. */
#include <MQTTClient.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 20000
#define MESSAGES 20

static void check(int result, const char *what)
{
	if (result == MQTTCLIENT_SUCCESS)
		return;
	printf("%s: %d\n", what, result);
	exit(1);
}

static int size_of(int number)
{
	static const int SIZES[] = {0, 1, 100, 126, 16383, 16384, 16385, 65535, 65536, 300000};
	return SIZES[number % (int)(sizeof(SIZES) / sizeof(SIZES[0]))];
}

int main(int count, char **words)
{
	MQTTClient client;
	MQTTClient_createOptions create = MQTTClient_createOptions_initializer;
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
	MQTTClient_connectOptions options5 = MQTTClient_connectOptions_initializer5;
	MQTTClient_SSLOptions tls = MQTTClient_SSLOptions_initializer;
	MQTTProperties none = MQTTProperties_initializer;
	static char payload[300000];

	if (count < 4)
		return 2;
	int is_5 = strcmp(words[2], "5") == 0;
	/* Paho 1.3.12 does not see a packet that stands behind another one in the same frame until more comes from the
	 * socket, so that a PUBACK behind a message would be waited for in vain [MQTT-6.0.0-2 allows such frames]. */
	int qos = strncmp(words[1], "ws", 2) == 0 ? 0 : 1;
	create.MQTTVersion = is_5 ? MQTTVERSION_5 : MQTTVERSION_3_1_1;
	check(MQTTClient_createWithOptions(&client, words[1], "paho-c", MQTTCLIENT_PERSISTENCE_NONE, NULL, &create),
	      "create");
	if (is_5)
		options = options5;
	options.MQTTVersion = create.MQTTVersion;
	options.connectTimeout = TIMEOUT_MS / 1000;
	tls.trustStore = words[3];
	tls.verify = 1;
	tls.enableServerCertAuth = 1;
	if (count > 5) {
		tls.keyStore = words[4];
		tls.privateKey = words[5];
	}
	if (words[3][0] != '\0')
		options.ssl = &tls;
	if (is_5) {
		MQTTResponse response = MQTTClient_connect5(client, &options, &none, NULL);
		check(response.reasonCode, "connect");
		MQTTResponse_free(response);
		response = MQTTClient_subscribe5(client, "t", qos, NULL, NULL);
		check((int)response.reasonCode == qos ? 0 : response.reasonCode, "subscribe");
		MQTTResponse_free(response);
	} else {
		check(MQTTClient_connect(client, &options), "connect");
		check(MQTTClient_subscribe(client, "t", qos), "subscribe");
	}
	for (int number = 0; number < MESSAGES; number++) {
		MQTTClient_message message = MQTTClient_message_initializer, *got = NULL;
		MQTTClient_deliveryToken token;
		char *topic = NULL;
		int topic_bytes;
		memset(payload, 'a' + number % 26, sizeof(payload));
		message.payload = payload;
		message.payloadlen = size_of(number);
		message.qos = qos;
		if (is_5) {
			MQTTResponse response = MQTTClient_publishMessage5(client, "t", &message, &token);
			check(response.reasonCode, "publish");
			MQTTResponse_free(response);
		} else {
			check(MQTTClient_publishMessage(client, "t", &message, &token), "publish");
		}
		check(MQTTClient_receive(client, &topic, &topic_bytes, &got, TIMEOUT_MS), "receive");
		if (got == NULL || got->payloadlen != message.payloadlen ||
		    memcmp(got->payload, payload, (size_t)got->payloadlen) != 0)
			check(-100 - number, "message");
		MQTTClient_freeMessage(&got);
		MQTTClient_free(topic);
	}
	check(is_5 ? MQTTClient_disconnect5(client, 1000, MQTTREASONCODE_SUCCESS, NULL)
		   : MQTTClient_disconnect(client, 1000),
	      "disconnect");
	MQTTClient_destroy(&client);
	puts("ok");
	return 0;
}
