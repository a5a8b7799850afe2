/* Receives bursts of messages with a library's default settings:
 *     burst_receiver mosquitto|paho 4|5 PORT BURSTS
 * Says "subscribed" once it is, and then for each burst how many different messages came, and how many that had come
 * before. Messages are numbers; one that is "end" ends a burst. */
#include <MQTTClient.h>
#include <mosquitto.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEPALIVE_S 60
#define NUMBERS_MAX 65536

static struct {
	bool seen[NUMBERS_MAX];
	int different;
	int doubled;
	int bursts_left;
	sem_t ended;
} tally;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

static void say_subscribed(void)
{
	puts("subscribed");
	fflush(stdout);
}

/* By the library's thread. */
static void take(const char *payload, int size)
{
	char text[16] = "";
	memcpy(text, payload, size < 15 ? (size_t)size : 15);
	if (strncmp(text, "end", 3) != 0) {
		bool *seen = &tally.seen[atoi(text) % NUMBERS_MAX];
		tally.different += !*seen;
		tally.doubled += *seen;
		*seen = true;
		return;
	}
	printf("%d different, %d doubled\n", tally.different, tally.doubled);
	fflush(stdout);
	memset(tally.seen, 0, sizeof(tally.seen));
	tally.different = 0;
	tally.doubled = 0;
	if (--tally.bursts_left == 0)
		sem_post(&tally.ended);
}

/* ---- libmosquitto ---- */

static void on_connect(struct mosquitto *client, void *context, int code)
{
	(void)context;
	if (code != 0 || mosquitto_subscribe(client, NULL, "burst", 2) != MOSQ_ERR_SUCCESS)
		fail("libmosquitto is refused");
}

static void on_subscribe(struct mosquitto *client, void *context, int id, int count, const int *granted)
{
	(void)client, (void)context, (void)id, (void)count, (void)granted;
	say_subscribed();
}

static void on_message(struct mosquitto *client, void *context, const struct mosquitto_message *message)
{
	(void)client, (void)context;
	take(message->payload, message->payloadlen);
}

static void by_mosquitto(int version, int port)
{
	mosquitto_lib_init();
	struct mosquitto *client = mosquitto_new(NULL, true, NULL);
	if (client == NULL)
		fail("mosquitto_new");
	mosquitto_int_option(client, MOSQ_OPT_PROTOCOL_VERSION, version);
	mosquitto_connect_callback_set(client, on_connect);
	mosquitto_subscribe_callback_set(client, on_subscribe);
	mosquitto_message_callback_set(client, on_message);
	if (mosquitto_connect(client, "127.0.0.1", port, KEEPALIVE_S) != MOSQ_ERR_SUCCESS ||
	    mosquitto_loop_start(client) != MOSQ_ERR_SUCCESS)
		fail("libmosquitto does not connect");
}

/* ---- Paho C ---- */

static int on_paho_message(void *context, char *topic, int size, MQTTClient_message *message)
{
	(void)context, (void)size;
	take(message->payload, message->payloadlen);
	MQTTClient_freeMessage(&message);
	MQTTClient_free(topic);
	return 1;
}

static bool connect_paho(MQTTClient client, int version)
{
	if (version == 4) {
		MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
		options.keepAliveInterval = KEEPALIVE_S;
		return MQTTClient_connect(client, &options) == MQTTCLIENT_SUCCESS &&
		       MQTTClient_subscribe(client, "burst", 2) == MQTTCLIENT_SUCCESS;
	}
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer5;
	options.keepAliveInterval = KEEPALIVE_S;
	MQTTResponse answer = MQTTClient_connect5(client, &options, NULL, NULL);
	bool connected = answer.reasonCode == MQTTREASONCODE_SUCCESS;
	MQTTResponse_free(answer);
	if (!connected)
		return false;
	answer = MQTTClient_subscribe5(client, "burst", 2, NULL, NULL);
	bool subscribed = answer.reasonCode == MQTTREASONCODE_GRANTED_QOS_2;
	MQTTResponse_free(answer);
	return subscribed;
}

static void by_paho(int version, int port)
{
	static MQTTClient client;
	MQTTClient_createOptions options = MQTTClient_createOptions_initializer;
	options.MQTTVersion = version == 5 ? MQTTVERSION_5 : MQTTVERSION_DEFAULT;
	char url[64];
	snprintf(url, sizeof(url), "tcp://127.0.0.1:%d", port);
	if (MQTTClient_createWithOptions(&client, url, "paho", MQTTCLIENT_PERSISTENCE_NONE, NULL, &options) !=
		    MQTTCLIENT_SUCCESS ||
	    MQTTClient_setCallbacks(client, NULL, NULL, on_paho_message, NULL) != MQTTCLIENT_SUCCESS ||
	    !connect_paho(client, version))
		fail("Paho C does not connect");
	say_subscribed();
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: burst_receiver mosquitto|paho 4|5 PORT BURSTS");
	int version = atoi(argv[2]);
	int port = atoi(argv[3]);
	tally.bursts_left = atoi(argv[4]);
	sem_init(&tally.ended, 0, 0);
	if (strcmp(argv[1], "paho") == 0)
		by_paho(version, port);
	else
		by_mosquitto(version, port);
	sem_wait(&tally.ended);
	_Exit(0); /* the libraries' threads have nothing to say any more */
}
