def strict(document):
    """With `by`, which the admin token needs."""
    for path in document["paths"].values():
        for operation in path.values():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
            if "by" in body.get("properties", {}):
                body["required"] = [*body["required"], "by"]
                body["properties"]["by"] = {"type": "string", "minLength": 1, "maxLength": 1000, "pattern": "^[a-z]+$"}
    return document
