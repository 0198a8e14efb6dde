"""Reads a file of events in one format and prints the id of each.

OCSF is checked against the published schema (ocsf-json-schema), CEF is read by pycef. No independent reader of LEEF is published
for Python; it is read here by its description alone.
"""

import configparser
import json
import pathlib
import re
import sys


def from_json(line):
    event = json.loads(line)
    if event.get("finding", {}).get("id") in LASTING:
        assert not {"client", "group", "flow", "evidence", "clients"} & event.keys(), event
        assert ("loss" in event) == ("vendor" not in event) == ("state" not in event), event
    elif event["event_kind"] == "finding":
        config = configparser.RawConfigParser(delimiters="=", comment_prefixes="#")
        config.read(TRANSFORMS)
        client = re.search(config["saastap_client"]["REGEX"], line)
        server = re.search(config["saastap_server"]["REGEX"], line)
        assert client.groups() == ("10.20.0.7", "50123"), line
        assert server.groups() == ("192.0.2.80", "443"), line
    return event["event_id"]


def from_ecs(line):
    event = json.loads(line)
    assert event["ecs"]["version"].startswith("9."), event
    if event["event"]["code"] == "usage":
        assert event["source"]["bytes"] + event["destination"]["bytes"] == event["network"]["bytes"], event
    return event["event"]["id"]


def from_ocsf(line):
    event = json.loads(line)
    version = event["metadata"]["version"]
    if version not in SCHEMAS:
        SCHEMAS[version] = OcsfJsonSchemaEmbedded(get_ocsf_schema(version))
    schema = SCHEMAS[version]
    name = {2004: "detection_finding", 4001: "network_activity", 0: "base_event"}[event["class_uid"]]
    jsonschema.validate(event, schema.get_class_schema(name))
    if event["class_uid"] == 4001:
        assert event["type_uid"] == 400106 and event["traffic"]["bytes_out"] == 4096, event
    assert event["type_uid"] == event["class_uid"] * 100 + event["activity_id"], event
    return event["metadata"]["uid"]


def from_cef(line):
    event = pycef.parse(line)
    assert event["DeviceVendor"] == "saastap" and event["CEFVersion"] == "0", event
    assert 0 <= int(event["Severity"]) <= 10, event
    if event["DeviceEventClassID"] == "usage":
        assert (event["out"], event["in"], event["state"]) == ("4096", "65536", "sanctioned"), event
    elif event["DeviceEventClassID"] in LASTING:
        assert not {"src", "suid", "dhost", "group", "clients"} & event.keys(), event
        assert ("saastap_loss_cause" in event) == ("vendor" not in event), event
    elif event["DeviceEventClassID"] != "heartbeat":
        assert event["dhost"] == "relay-1.net.anydesk.test" and event["src"] == "10.20.0.7", event
        assert event["community_id"] == "1:3b04DeQ0E2U5k9jLZoqT3AO9K5U\\=", event
        assert event["state"] == "unreviewed", event
        # What Splunk is told about pairs finds the same.
        config = configparser.RawConfigParser(delimiters="=", comment_prefixes="#")
        config.read(TRANSFORMS)
        found = dict(re.findall(config["saastap_cef_pairs"]["REGEX"], line))
        assert found["dhost"] == event["dhost"] and found["msg"] == event["msg"], found
        assert found["externalId"] == event["externalId"], found
    return event["externalId"]


def from_leef(line):
    version, vendor, product, _, _, delimiter, rest = line.split("|", 6)
    assert (version, vendor, product) == ("LEEF:2.0", "saastap", "saastap"), line
    event = dict(pair.split("=", 1) for pair in rest.split(delimiter))
    assert 1 <= int(event["sev"]) <= 10, event
    if event["cat"] == "usage":
        assert (event["srcBytes"], event["dstBytes"]) == ("4096", "65536"), event
    return event["eventId"]


LASTING = {"visibility_loss", "sanctioned_silent"}
SCHEMAS = {}
TRANSFORMS = pathlib.Path(__file__).parents[2] / "config/siem/splunk/transforms.conf"
name, path = sys.argv[1:]
if name == "ocsf":
    import jsonschema
    from ocsf_json_schema import OcsfJsonSchemaEmbedded, get_ocsf_schema
if name == "cef":
    import pycef
read = {"json": from_json, "ecs": from_ecs, "ocsf": from_ocsf, "cef": from_cef, "leef": from_leef}[name]
with open(path, encoding="utf-8") as lines:
    for line in lines:
        print(read(line.rstrip("\n")))
