namespace LsmrTorch.Datasets;

/// <summary>
/// A data set with a folder for each class, as ImageNet is used: root/train/n01440764/….JPEG, root/val/n01440764/….JPEG.
/// It holds names; images are read by <see cref="ImageEpoch"/>.
/// </summary>
public sealed class ImageFolder
{
    /// <summary>The file in the root that may name the classes: a line for each, the folder and a name for people.</summary>
    private const string ClassesFile = "classes.txt";

    private const int LongestLine = 4096;

    private static readonly string[] s_splits = ["train", "val"];
    private static readonly string[] s_endings = [".jpeg", ".jpg", ".png"];

    private ImageFolder(IReadOnlyList<string> classes, IReadOnlyList<string> names, IReadOnlyList<(string Path, long Label)> images) =>
        (Classes, ClassNames, Images) = (classes, names, images);

    /// <summary>The names of the class folders, sorted; the label of a class is its place here.</summary>
    public IReadOnlyList<string> Classes { get; }

    /// <summary>What classes.txt calls each class, or else the folder's name.</summary>
    public IReadOnlyList<string> ClassNames { get; }

    /// <summary>The files of images, sorted by class and then by name, with their labels.</summary>
    public IReadOnlyList<(string Path, long Label)> Images { get; }

    /// <summary>
    /// The images (.JPEG, .jpg, .png, in any case) of root/<paramref name="split"/>. The classes are those of
    /// classes.txt in the root or, without it, the folders of root/train and root/val together, so that labels of both
    /// parts agree. A part need not have every class.
    /// </summary>
    /// <exception cref="DatasetException">
    /// A folder is missing or cannot be read, the part has no class folder, a class folder has no images or is not in
    /// classes.txt, or classes.txt names a folder twice or has a line of over 4,096 characters.
    /// </exception>
    public static ImageFolder Open(string root, string split)
    {
        ArgumentNullException.ThrowIfNull(root);
        if (!s_splits.Contains(split)) {
            throw new ArgumentException($"A part of an image folder is {string.Join(" or ", s_splits)}, but {Quoted.Text(split)} was asked for.", nameof(split));
        }
        try {
            string part = Path.Combine(root, split);
            if (!Directory.Exists(part)) {
                throw new DatasetException($"{Quoted.Path(part)} does not exist, but an image folder has its classes in {string.Join(" and ", s_splits)}.");
            }
            string[] present = Folders(part);
            if (present.Length == 0) {
                throw new DatasetException($"{Quoted.Path(part)} has no class folders.");
            }
            (string Folder, string Name)[] classes = Named(root);
            string[] order = [.. classes.Select(entry => entry.Folder)];
            var images = new List<(string, long)>();
            foreach (string folder in present) {
                int label = Array.BinarySearch(order, folder, StringComparer.Ordinal);
                if (label < 0) {
                    throw new DatasetException($"{Quoted.Path(Path.Combine(part, folder))} is a class folder, but {ClassesFile} does not name it.");
                }
                string[] files = [.. Directory.GetFiles(Path.Combine(part, folder)).Where(IsImage).Order(StringComparer.Ordinal)];
                if (files.Length == 0) {
                    throw new DatasetException($"The class folder {Quoted.Path(Path.Combine(part, folder))} has no images ({string.Join(", ", s_endings)}).");
                }
                images.AddRange(files.Select(file => (file, (long)label)));
            }
            return new ImageFolder(order, [.. classes.Select(entry => entry.Name)], images);
        } catch (Exception error) when (DatasetException.IsFileError(error)) {
            throw DatasetException.CannotRead(root, error);
        }
    }

    /// <summary>At most <paramref name="count"/> of its images, evenly spread over the list, and so over the classes; the classes stay.</summary>
    public ImageFolder Spread(int count)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(count, 1);
        int all = Images.Count;
        return all <= count ? this : new ImageFolder(Classes, ClassNames, [.. Enumerable.Range(0, count).Select(i => Images[(int)((long)i * all / count)])]);
    }

    private static bool IsImage(string file) => s_endings.Contains(Path.GetExtension(file).ToLowerInvariant());

    private static string[] Folders(string part) =>
        [.. Directory.GetDirectories(part).Select(folder => Path.GetFileName(folder)).Order(StringComparer.Ordinal)];

    /// <summary>Folders and names of the classes, sorted by folder.</summary>
    private static (string Folder, string Name)[] Named(string root)
    {
        string file = Path.Combine(root, ClassesFile);
        if (!File.Exists(file)) {
            IEnumerable<string> parts = s_splits.Select(split => Path.Combine(root, split)).Where(Directory.Exists);
            return [.. parts.SelectMany(Folders).Distinct().Order(StringComparer.Ordinal).Select(folder => (folder, folder))];
        }
        var names = new SortedDictionary<string, string>(StringComparer.Ordinal);
        using var lines = new BoundedLines(file, LongestLine);
        while (lines.Next() is { } line) {
            if (string.IsNullOrWhiteSpace(line)) {
                continue;
            }
            string[] words = line.Split((char[]?)null, 2, StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries);
            if (!names.TryAdd(words[0], words[^1])) {
                throw new DatasetException($"{Quoted.Path(file)} names the class folder {Quoted.Plain(words[0])} twice.");
            }
        }
        return [.. names.Select(entry => (entry.Key, entry.Value))];
    }
}
