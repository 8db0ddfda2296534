using NUnit.Framework;

// Every test runs where numbers are written with a comma: what we read and write must not depend on it.
[assembly: SetCulture("de-DE")]
