/* Packets that the standard allows: every type, every property, every field at its edge. */
#include "cases.h"

#define CLIENT .from_server = false
#define SERVER .from_server = true

const struct mqtt_case MQTT_GOOD[] = {
	/* CONNECT */
	{"3.1", MQTT_CONNECT, 0, 3, CLIENT, "'MQIsdp' 03 02 003C 'a'"},
	{"3.1.1, empty client id with clean session", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 04 02 003C ''"},
	{"3.1.1, client id with clean session 0", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 04 00 FFFF 'a'"},
	{"3.1.1, every field", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 04 EE 003C 'id' 'w/t' 'by' 'user' 'secret'"},
	{"3.1, of a bridge", MQTT_CONNECT, 0, 3, CLIENT, "'MQIsdp' 83 02 003C 'a'"},
	{"3.1.1, of a bridge", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 84 02 003C 'a'"},
	{"3.1.1, user name without a password", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 04 82 0000 'id' 'user'"},
	{"3.1.1, will with an empty payload and QoS 2", MQTT_CONNECT, 0, 4, CLIENT, "'MQTT' 04 16 0000 'id' 'w' ''"},
	{"5, least", MQTT_CONNECT, 0, 5, CLIENT, "'MQTT' 05 02 0000 [] ''"},
	{"5, empty client id with clean start 0", MQTT_CONNECT, 0, 5, CLIENT, "'MQTT' 05 00 0000 [] ''"},
	{"5, password without a user name", MQTT_CONNECT, 0, 5, CLIENT, "'MQTT' 05 42 0000 [] 'id' 'token'"},
	{"5, every property", MQTT_CONNECT, 0, 5, CLIENT,
	 "'MQTT' 05 02 003C [11 FFFFFFFF 21 0001 27 00000001 22 FFFF 19 01 17 00 26 'k' 'v' 26 'k' 'v' 15 'SCRAM'"
	 " 16 0002 00FF] 'id'"},
	{"5, every property of a will", MQTT_CONNECT, 0, 5, CLIENT,
	 "'MQTT' 05 2E 0000 [] 'id' [18 00000005 01 01 02 0000003C 03 'text' 08 're/ply' 09 0002 FF00 26 '' ''] 'w'"
	 " 0002 FF00"},
	/* CONNACK */
	{"3.1.1, accepted", MQTT_CONNACK, 0, 4, SERVER, "01 00"},
	{"3.1.1, refused", MQTT_CONNACK, 0, 4, SERVER, "00 05"},
	{"5, accepted", MQTT_CONNACK, 0, 5, SERVER, "01 00 []"},
	{"5, refused with a reason", MQTT_CONNACK, 0, 5, SERVER, "00 87 [1F 'no']"},
	{"5, every property", MQTT_CONNACK, 0, 5, SERVER,
	 "00 00 [11 00000000 21 0014 24 01 25 00 27 00010000 12 'auto' 22 000A 1F 'why' 26 'k' 'v' 28 00 29 00 2A 00"
	 " 13 001E 1A 'info' 1C 'other' 15 'SCRAM' 16 0001 00]"},
	/* PUBLISH */
	{"3.1.1, QoS 0", MQTT_PUBLISH, 0x0, 4, CLIENT, "'a/b'"},
	{"3.1.1, QoS 1, retain, duplicate", MQTT_PUBLISH, 0xB, 4, CLIENT, "'a/b' 0001 <hi>", 0,
	 GOOD_CUT(7) | GOOD_CUT(8)},
	{"3.1.1, QoS 2", MQTT_PUBLISH, 0x4, 4, SERVER, "'a/b' FFFF"},
	{"5, QoS 0", MQTT_PUBLISH, 0x0, 5, CLIENT, "'a' [] <x>", 0, GOOD_CUT(4)},
	{"5, empty topic with an alias", MQTT_PUBLISH, 0x2, 5, CLIENT, "'' 0001 [23 0001]"},
	{"5, topic beyond ASCII", MQTT_PUBLISH, 0x0, 5, CLIENT, "'room/\xe6\x88\xbf\xe9\x97\xb4/\xf0\x9f\x90\x94' []"},
	{"5, every property", MQTT_PUBLISH, 0x2, 5, SERVER,
	 "'a' 0001 [01 00 02 FFFFFFFF 23 FFFF 08 're' 09 0000 26 'k' 'v' 0B 01 0B FFFFFF7F 03 ''] <x>", 0,
	 GOOD_CUT(41)},
	/* PUBACK, PUBREC, PUBREL, PUBCOMP */
	{"3.1.1, PUBACK", MQTT_PUBACK, 0, 4, CLIENT, "0001"},
	{"3.1.1, PUBREL", MQTT_PUBREL, 0x2, 4, CLIENT, "FFFF"},
	{"5, PUBACK, all left out", MQTT_PUBACK, 0, 5, CLIENT, "0001"},
	{"5, PUBREC, code only", MQTT_PUBREC, 0, 5, CLIENT, "0001 97", 0, GOOD_CUT(2)},
	{"5, PUBREL, no properties", MQTT_PUBREL, 0x2, 5, CLIENT, "0001 92 []", 0, GOOD_CUT(2) | GOOD_CUT(3)},
	{"5, PUBCOMP, every property", MQTT_PUBCOMP, 0, 5, SERVER, "0001 00 [1F 'r' 26 'k' 'v']", 0,
	 GOOD_CUT(2) | GOOD_CUT(3)},
	/* SUBSCRIBE, SUBACK */
	{"3.1.1", MQTT_SUBSCRIBE, 0x2, 4, CLIENT, "0001 'a/#' 02 '+' 00", 0, GOOD_CUT(8)},
	{"5, every option", MQTT_SUBSCRIBE, 0x2, 5, CLIENT, "0001 [] 'a' 2E '$share/g/a' 28", 0, GOOD_CUT(7)},
	{"5, every property", MQTT_SUBSCRIBE, 0x2, 5, CLIENT, "0001 [0B FFFFFF7F 26 'k' 'v' 26 'k' 'v'] 'a' 10"},
	{"3.1.1", MQTT_SUBACK, 0, 4, SERVER, "0001 00 01 02 80", 0, GOOD_CUT(3) | GOOD_CUT(4) | GOOD_CUT(5)},
	{"5", MQTT_SUBACK, 0, 5, SERVER, "0001 [1F 'r' 26 'k' 'v'] 00 A2", 0, GOOD_CUT(15)},
	/* UNSUBSCRIBE, UNSUBACK */
	{"3.1.1", MQTT_UNSUBSCRIBE, 0x2, 4, CLIENT, "0001 'a/#' '+'", 0, GOOD_CUT(7)},
	{"5", MQTT_UNSUBSCRIBE, 0x2, 5, CLIENT, "0001 [26 'k' 'v'] 'a'"},
	{"3.1.1", MQTT_UNSUBACK, 0, 4, SERVER, "0001"},
	{"5", MQTT_UNSUBACK, 0, 5, SERVER, "0001 [1F 'r'] 00 11", 0, GOOD_CUT(8)},
	/* PINGREQ, PINGRESP, DISCONNECT, AUTH */
	{"3.1.1", MQTT_PINGREQ, 0, 4, CLIENT, ""},
	{"5", MQTT_PINGRESP, 0, 5, SERVER, ""},
	{"3.1.1", MQTT_DISCONNECT, 0, 4, CLIENT, ""},
	{"5, all left out", MQTT_DISCONNECT, 0, 5, CLIENT, ""},
	{"5, with will", MQTT_DISCONNECT, 0, 5, CLIENT, "04", 0, GOOD_CUT(0)},
	{"5, every property of a client", MQTT_DISCONNECT, 0, 5, CLIENT, "00 [11 00000001 1F 'r' 26 'k' 'v']", 0,
	 GOOD_CUT(0) | GOOD_CUT(1)},
	{"5, every property of a server", MQTT_DISCONNECT, 0, 5, SERVER, "9C [1C 'other' 1F 'r' 26 'k' 'v']", 0,
	 GOOD_CUT(0) | GOOD_CUT(1)},
	{"5", MQTT_AUTH, 0, 5, CLIENT, "18 [15 'SCRAM' 16 0001 00 1F 'r' 26 'k' 'v']"},
};

const size_t MQTT_GOOD_COUNT = sizeof(MQTT_GOOD) / sizeof(MQTT_GOOD[0]);
