/* Requests and answers at QoS 1 between two clients of one library, one at a time:
 *     request_and_answer mosquitto|paho HOST PORT ROUNDS
 * The answering client publishes from where it is told of a request, as programs do. Prints how many answers came. */
#include <MQTTClient.h>
#include <mosquitto.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define KEEPALIVE_S 60
#define ANSWER_WITHIN_S 10

static sem_t answered;

static void fail(const char *what)
{
	fprintf(stderr, "%s\n", what);
	exit(1);
}

/* False where it takes too long. */
static int await_answer(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ANSWER_WITHIN_S;
	return sem_timedwait(&answered, &until) == 0;
}

/* ---- libmosquitto ---- */

static sem_t subscribed;

static void on_subscribe(struct mosquitto *client, void *context, int id, int count, const int *granted)
{
	(void)client, (void)context, (void)id, (void)count, (void)granted;
	sem_post(&subscribed);
}

static void on_request(struct mosquitto *client, void *context, const struct mosquitto_message *message)
{
	(void)context;
	mosquitto_publish(client, NULL, "answer", message->payloadlen, message->payload, 1, 0);
}

static void on_answer(struct mosquitto *client, void *context, const struct mosquitto_message *message)
{
	(void)client, (void)context, (void)message;
	sem_post(&answered);
}

static struct mosquitto *mosquitto_client(const char *host, int port, const char *topic,
					  void (*on_message)(struct mosquitto *, void *,
							     const struct mosquitto_message *))
{
	struct mosquitto *client = mosquitto_new(NULL, 1, NULL);
	if (client == NULL)
		fail("mosquitto_new");
	mosquitto_message_callback_set(client, on_message);
	mosquitto_subscribe_callback_set(client, on_subscribe);
	if (mosquitto_connect(client, host, port, KEEPALIVE_S) != MOSQ_ERR_SUCCESS ||
	    mosquitto_loop_start(client) != MOSQ_ERR_SUCCESS ||
	    mosquitto_subscribe(client, NULL, topic, 1) != MOSQ_ERR_SUCCESS)
		fail("libmosquitto does not connect");
	sem_wait(&subscribed);
	return client;
}

static int by_mosquitto(const char *host, int port, int rounds)
{
	int done = 0;
	sem_init(&subscribed, 0, 0);
	mosquitto_lib_init();
	mosquitto_client(host, port, "request", on_request);
	struct mosquitto *asks = mosquitto_client(host, port, "answer", on_answer);
	for (; done < rounds; done++) {
		if (mosquitto_publish(asks, NULL, "request", 1, "?", 1, 0) != MOSQ_ERR_SUCCESS || !await_answer())
			break;
	}
	return done;
}

/* ---- Paho C ---- */

static int on_paho_request(void *context, char *topic, int size, MQTTClient_message *message)
{
	MQTTClient *client = context;
	(void)size;
	MQTTClient_publish(*client, "answer", message->payloadlen, message->payload, 1, 0, NULL);
	MQTTClient_freeMessage(&message);
	MQTTClient_free(topic);
	return 1;
}

static int on_paho_answer(void *context, char *topic, int size, MQTTClient_message *message)
{
	(void)context, (void)size;
	MQTTClient_freeMessage(&message);
	MQTTClient_free(topic);
	sem_post(&answered);
	return 1;
}

static void paho_client(MQTTClient *client, const char *url, const char *id, const char *topic,
			MQTTClient_messageArrived *on_message)
{
	MQTTClient_connectOptions options = MQTTClient_connectOptions_initializer;
	options.keepAliveInterval = KEEPALIVE_S;
	if (MQTTClient_create(client, url, id, MQTTCLIENT_PERSISTENCE_NONE, NULL) != MQTTCLIENT_SUCCESS ||
	    MQTTClient_setCallbacks(*client, client, NULL, on_message, NULL) != MQTTCLIENT_SUCCESS ||
	    MQTTClient_connect(*client, &options) != MQTTCLIENT_SUCCESS ||
	    MQTTClient_subscribe(*client, topic, 1) != MQTTCLIENT_SUCCESS)
		fail("Paho C does not connect");
}

static int by_paho(const char *host, int port, int rounds)
{
	static MQTTClient asks, answers;
	char url[256];
	int done = 0;
	snprintf(url, sizeof(url), "tcp://%s:%d", host, port);
	paho_client(&answers, url, "answers", "request", on_paho_request);
	paho_client(&asks, url, "asks", "answer", on_paho_answer);
	for (; done < rounds; done++) {
		char question[] = "?";
		if (MQTTClient_publish(asks, "request", 1, question, 1, 0, NULL) != MQTTCLIENT_SUCCESS ||
		    !await_answer())
			break;
	}
	return done;
}

int main(int argc, char **argv)
{
	if (argc != 5)
		fail("usage: request_and_answer mosquitto|paho HOST PORT ROUNDS");
	sem_init(&answered, 0, 0);
	int port = atoi(argv[3]);
	int rounds = atoi(argv[4]);
	struct timespec begin, end;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	int done = strcmp(argv[1], "paho") == 0 ? by_paho(argv[2], port, rounds) : by_mosquitto(argv[2], port, rounds);
	clock_gettime(CLOCK_MONOTONIC, &end);
	double seconds = (double)(end.tv_sec - begin.tv_sec) + (double)(end.tv_nsec - begin.tv_nsec) / 1e9;
	printf("%d answers, %.2f ms each\n", done, seconds * 1000 / (done != 0 ? done : 1));
	fflush(stdout);
	_Exit(done == rounds ? 0 : 1); /* the libraries' threads have nothing to say any more */
}
