using System.Text.Json;
using System.Text.Json.Nodes;
using LsmrTorch.Datasets;

namespace LsmrTorch.Experiments.Running;

/// <summary>What a run was started with, its options and its provenance, as config.json and every checkpoint hold it.</summary>
internal static class RunRecord
{
    private const int MostBytes = 1 << 24;

    /// <summary>The record in a config.json.</summary>
    /// <exception cref="ExperimentException">The file is not JSON, or holds no options of a run.</exception>
    public static JsonObject Read(string path)
    {
        try {
            var once = new JsonDocumentOptions { AllowDuplicateProperties = false };
            return Checked(JsonNode.Parse(BoundedFile.ReadText(path, MostBytes), documentOptions: once))
                ?? throw new ExperimentException($"{Quoted.Path(path)} is not the config.json of a run.");
        } catch (Exception error) when (error is JsonException or InvalidOperationException or ArgumentException) {
            throw new ExperimentException($"{Quoted.Path(path)} is not JSON: {Quoted.Reason(error.Message)}", error);
        }
    }

    /// <summary>The same where it is one, or else null.</summary>
    public static JsonObject? Checked(JsonNode? node) =>
        node is JsonObject record && record["options"] is JsonObject && record["provenance"] is JsonObject && HasText(record)
            ? record : null;

    /// <summary>The first place where two records differ, with the value of each; null where there is none.</summary>
    public static (string Name, string First, string Second)? Difference(JsonNode? first, JsonNode? second, string name = "")
    {
        if (JsonNode.DeepEquals(first, second)) {
            return null;
        }
        if (first is JsonObject one && second is JsonObject two) {
            foreach (string key in one.Select(property => property.Key).Union(two.Select(property => property.Key))) {
                if (Difference(one[key], two[key], name.Length == 0 ? key : $"{name}.{key}") is { } inner) {
                    return inner;
                }
            }
        }
        return (Quoted.Plain(name), Show(first), Show(second));
    }

    // Strings are decoded when they are asked for, and half of a surrogate pair is noticed then.
    private static bool HasText(JsonNode? node)
    {
        try {
            return node switch {
                JsonObject inner => inner.All(property => HasText(property.Value)),
                JsonArray array => array.All(HasText),
                JsonValue value when value.GetValueKind() == JsonValueKind.String => value.GetValue<string>() is not null,
                _ => true,
            };
        } catch (InvalidOperationException) {
            return false;
        }
    }

    private static string Show(JsonNode? value) => value is null ? "nothing" : Quoted.Plain(value.ToJsonString());
}
