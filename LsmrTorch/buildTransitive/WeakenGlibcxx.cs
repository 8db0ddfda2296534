using System;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.Build.Framework;
using Microsoft.Build.Utilities;

/// <summary>
/// Marks the requirement of GLIBCXX_3.4.32 in copies of libLibTorchSharp.so as weak, where the system's libstdc++
/// lacks that version. The layout read here is that of the ELF specification and of "Symbol Versioning" in the
/// Linux Standard Base: a section of type SHT_GNU_verneed is a list of libraries, each with a list of versions.
/// </summary>
public class LsmrTorchWeakenGlibcxxTask : Task
{
    private const string Version = "GLIBCXX_3.4.32";
    private const uint VersionNeedSection = 0x6ffffffe; // SHT_GNU_verneed
    private const ushort WeakFlag = 2;                  // VER_FLG_WEAK

    [Required]
    public ITaskItem[] Libraries { get; set; }

    /// <summary>Whether to do so on a system that has the version too.</summary>
    public bool Always { get; set; }

    public override bool Execute()
    {
        foreach (string path in Libraries.Select(item => item.GetMetadata("FullPath")).Where(File.Exists)) {
            byte[] image = File.ReadAllBytes(path);
            int flags = FindRequiredVersion(image);
            if (flags < 0 || (BitConverter.ToUInt16(image, flags) & WeakFlag) != 0 || !(Always || SystemLacksVersion()))
                continue;
            image[flags] |= (byte)WeakFlag;
            Replace(path, image);
            Log.LogMessage(MessageImportance.High,
                "LsmrTorch: marked the requirement of " + Version + " in " + path + " as weak (one bit), since this system's "
                + "libstdc++ lacks that version and no code in the library uses it. TorchSharp would not load otherwise.");
        }
        return !Log.HasLoggedErrors;
    }

    /// <summary>Writes a new file in place of the old one: a hard link to the NuGet cache must not carry the change there.</summary>
    private static void Replace(string path, byte[] image)
    {
        DateTime written = File.GetLastWriteTimeUtc(path); // kept, so that an incremental build does not copy it again
        string fresh = path + ".weak";
        File.Copy(path, fresh, true);
        File.WriteAllBytes(fresh, image);
        File.SetLastWriteTimeUtc(fresh, written);
        File.Delete(path);
        File.Move(fresh, path);
    }

    /// <summary>The offset of the flags of the required version, or -1 if the file does not require it.</summary>
    private static int FindRequiredVersion(byte[] elf)
    {
        bool isElf64 = elf.Length > 64 && elf[0] == 0x7f && elf[1] == 'E' && elf[2] == 'L' && elf[3] == 'F' && elf[4] == 2 && elf[5] == 1;
        if (!isElf64)
            return -1;
        int table = (int)BitConverter.ToUInt64(elf, 0x28);  // e_shoff
        int size = BitConverter.ToUInt16(elf, 0x3a);        // e_shentsize
        int count = BitConverter.ToUInt16(elf, 0x3c);       // e_shnum
        for (int i = 0; i < count; i++) {
            int header = table + i * size;
            if (BitConverter.ToUInt32(elf, header + 4) != VersionNeedSection)
                continue;
            int section = (int)BitConverter.ToUInt64(elf, header + 0x18);
            int link = (int)BitConverter.ToUInt32(elf, header + 0x28);
            int strings = (int)BitConverter.ToUInt64(elf, table + link * size + 0x18);
            int needs = (int)BitConverter.ToUInt32(elf, header + 0x2c);
            for (int n = 0, need = section; n < needs; n++) {
                int versions = BitConverter.ToUInt16(elf, need + 2);
                int aux = need + (int)BitConverter.ToUInt32(elf, need + 8);
                for (int v = 0; v < versions; v++) {
                    if (Text(elf, strings + (int)BitConverter.ToUInt32(elf, aux + 8)) == Version)
                        return aux + 4;                     // vna_flags
                    aux += (int)BitConverter.ToUInt32(elf, aux + 12);
                }
                need += (int)BitConverter.ToUInt32(elf, need + 12);
            }
        }
        return -1;
    }

    private static string Text(byte[] bytes, int start)
    {
        int end = Array.IndexOf(bytes, (byte)0, start);
        return Encoding.ASCII.GetString(bytes, start, end - start);
    }

    /// <summary>Asks the libstdc++ that the loader gave to this process (.NET itself uses it).</summary>
    private static bool SystemLacksVersion()
    {
        string loaded = File.ReadLines("/proc/self/maps")
            .Select(line => line.Substring(line.IndexOf('/') < 0 ? line.Length : line.IndexOf('/')))
            .FirstOrDefault(file => Path.GetFileName(file).StartsWith("libstdc++.so", StringComparison.Ordinal));
        if (loaded == null || !File.Exists(loaded))
            return true;
        string content = Encoding.GetEncoding(28591).GetString(File.ReadAllBytes(loaded)); // Latin-1: a char a byte
        return content.IndexOf(Version + "\0", StringComparison.Ordinal) < 0;
    }
}
