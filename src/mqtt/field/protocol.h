/* Versions, packet types and limits of the protocol: shared by every file of src/mqtt.
 * References: "MQTT Version 3.1.1" and "MQTT Version 5.0", OASIS Standards. */
#ifndef MQTT_PROTOCOL_H
#define MQTT_PROTOCOL_H

enum mqtt_version {
	MQTT_VERSION_3_1 = 3, /* "MQIsdp" */
	MQTT_VERSION_3_1_1 = 4,
	MQTT_VERSION_5 = 5,
};

/* Set in the protocol level of 3.1 and 3.1.1 by mosquitto's bridges and compatible ones: all subscriptions of the
 * connection are No Local and Retain As Published, which only version 5 can say of each. Not in the standard. */
#define MQTT_LEVEL_BRIDGE 0x80u

/* [2.1.2] */
enum mqtt_type {
	MQTT_CONNECT = 1,
	MQTT_CONNACK = 2,
	MQTT_PUBLISH = 3,
	MQTT_PUBACK = 4,
	MQTT_PUBREC = 5,
	MQTT_PUBREL = 6,
	MQTT_PUBCOMP = 7,
	MQTT_SUBSCRIBE = 8,
	MQTT_SUBACK = 9,
	MQTT_UNSUBSCRIBE = 10,
	MQTT_UNSUBACK = 11,
	MQTT_PINGREQ = 12,
	MQTT_PINGRESP = 13,
	MQTT_DISCONNECT = 14,
	MQTT_AUTH = 15,
};

/* The longest fixed header, and the largest Remaining Length [2.1.4]. */
#define MQTT_HEADER_BYTES_MIN 2u
#define MQTT_HEADER_BYTES_MAX 5u
#define MQTT_BODY_BYTES_MAX 268435455u
/* Topics with more levels are refused: it bounds the work of a match. The standard has no such limit [4.7.3]. */
#define MQTT_TOPIC_LEVELS_MAX 128u

#endif
