namespace LsmrTorch.Datasets;

/// <summary>
/// Tables in the format of <see cref="UciTable"/> for machines that do not have the UCI sets: a smooth nonlinear function of the first
/// inputs (a ridge of sines and a product), further inputs that say nothing, and noise. The same for a seed on every machine.
/// </summary>
public static class UciGenerator
{
    private const int Splits = 10;
    private const int Tenth = 10; // one example in ten is for testing

    /// <summary>A table of so many examples and inputs.</summary>
    /// <param name="count">Examples, at least 20.</param>
    /// <param name="inputs">Inputs, at least 2; only the first half of them, rounded up, matter.</param>
    /// <param name="noise">Its standard deviation; the function's is of the order of 1.</param>
    /// <param name="seed">Of everything.</param>
    /// <exception cref="ArgumentOutOfRangeException">A number is below its least.</exception>
    public static UciTable Generate(int count, int inputs, double noise, long seed)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 20);
        ArgumentOutOfRangeException.ThrowIfLessThan(inputs, 2);
        ArgumentOutOfRangeException.ThrowIfNegative(noise);
        var function = SplitMix64.Stream(seed, 0);
        double[] slopes = [.. Enumerable.Range(0, (inputs + 1) / 2).Select(_ => function.Uniform(0.5, 1.5))];
        double[][] rows = [.. Enumerable.Range(1, count).Select(i => Row(SplitMix64.Stream(seed, i), inputs, slopes, noise))];
        bool[][] isTest = [.. rows.Select(_ => new bool[Splits])];
        for (int split = 0; split < Splits; split++) {
            foreach (int test in Order(count, SplitMix64.Stream(seed, -1 - split)).Take(count / Tenth)) {
                isTest[test][split] = true;
            }
        }
        return new UciTable($"The generated table of {count} examples", rows, isTest);
    }

    /// <summary>Writes the same table as data.csv.gz and test_mask.csv.gz into a folder, which is made if it is missing.</summary>
    /// <exception cref="ArgumentOutOfRangeException">A number is below its least.</exception>
    /// <exception cref="DatasetException">The folder or a file cannot be written.</exception>
    public static void Write(string folder, int count, int inputs, double noise, long seed)
    {
        ArgumentNullException.ThrowIfNull(folder);
        UciTable table = Generate(count, inputs, noise, seed);
        try {
            Directory.CreateDirectory(folder);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotWrite(folder, error);
        }
        CommaSeparated.Write(Path.Combine(folder, UciTable.DataFile), table.Rows);
        CommaSeparated.Write(Path.Combine(folder, UciTable.MaskFile), table.IsTest.Select(row => row.Select(isTest => isTest ? 1.0 : 0)));
    }

    private static double[] Row(SplitMix64 random, int inputs, double[] slopes, double noise)
    {
        double[] row = [.. Enumerable.Range(0, inputs + 1).Select(_ => random.Normal())];
        double value = slopes[0] * row[0] * Math.Tanh(row[1]);
        for (int j = 0; j < slopes.Length; j++) {
            value += Math.Sin(slopes[j] * row[j]) / (j + 1);
        }
        row[inputs] = value + (noise * row[inputs]);
        return row;
    }

    private static int[] Order(int count, SplitMix64 random)
    {
        int[] order = [.. Enumerable.Range(0, count)];
        for (int last = count - 1; last > 0; last--) {
            int other = random.Below(last + 1);
            (order[last], order[other]) = (order[other], order[last]);
        }
        return order;
    }
}
