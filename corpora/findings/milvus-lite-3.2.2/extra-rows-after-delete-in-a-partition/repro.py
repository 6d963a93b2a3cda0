# ExtraRows: reading all rows back in the partition blue returns 1 row too many
# Found by milvus-difftest in milvus_lite-3.2.2.
# Usage: python repro.py [URI]
# Without a URI, MILVUS_URI is used, else an embedded Milvus Lite. MILVUS_TOKEN is the token.
# Exit status: 0 the bug is present, 1 it is not, 2 the script could not run.
import contextlib
import logging
import os
import sys
import tempfile
import uuid

try:
    from pymilvus import DataType, MilvusClient
except ImportError as error:
    print(f"could not run: {error}; pip install pymilvus milvus-lite", file=sys.stderr)
    sys.exit(2)

TIMEOUT = 10  # seconds; without one, the client tries up to 75 times
KEY = "id"
EXPECTED = []


def write(client, name):
    schema = client.create_schema(auto_id=False, enable_dynamic_field=False)
    schema.add_field("id", DataType.VARCHAR, max_length=4096, is_primary=True)
    schema.add_field("vec", DataType.FLOAT_VECTOR, dim=2)
    index = client.prepare_index_params()
    index.add_index("vec", index_type="FLAT", metric_type="L2")
    client.create_collection(
        name, schema=schema, index_params=index, consistency_level="Strong", timeout=TIMEOUT
    )
    client.create_partition(name, "blue", timeout=TIMEOUT)
    rows = [
        {"id": "", "vec": [0.0, 0.0]},
    ]
    client.insert(name, rows, partition_name="blue", timeout=TIMEOUT)
    client.flush(name, timeout=TIMEOUT)
    client.delete(name, filter='id in [""]', timeout=TIMEOUT)
    rows = [
        {"id": "", "vec": [0.0, 0.0]},
    ]
    client.insert(name, rows, timeout=TIMEOUT)


def query(client, name):
    return client.query(
        name,
        filter="",
        output_fields=["id"],
        limit=16384, partition_names=["blue"], timeout=TIMEOUT,
    )


def reproduce(client, name):
    """Whether the bug is present."""
    write(client, name)
    actual = sorted(row[KEY] for row in query(client, name))
    print("expected:", EXPECTED)
    print("actual:  ", actual)
    return actual != EXPECTED


def main():
    uri = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("MILVUS_URI")
    token = os.environ.get("MILVUS_TOKEN", "")
    name = f"repro_{uuid.uuid4().hex}"
    with tempfile.TemporaryDirectory() as folder:
        client = MilvusClient(uri or folder + "/repro.db", token=token, timeout=TIMEOUT)
        try:
            return reproduce(client, name)
        finally:
            with contextlib.suppress(Exception):
                client.drop_collection(name, timeout=TIMEOUT)
            client.close()


if __name__ == "__main__":
    logging.disable()  # what goes wrong is printed once, here
    try:
        present = main()
    except Exception as error:
        print(f"could not run: {error}", file=sys.stderr)
        sys.exit(2)
    print("The bug is present." if present else "The bug is not present.")
    sys.exit(0 if present else 1)
