using System.Globalization;

namespace LsmrTorch.Experiments.Running;

/// <summary>Numbers are written with a point while this lives, whatever the user's culture; then that one returns.</summary>
internal sealed class InvariantNumbers : IDisposable
{
    private readonly CultureInfo _culture = CultureInfo.CurrentCulture, _uiCulture = CultureInfo.CurrentUICulture;

    public InvariantNumbers() => CultureInfo.CurrentCulture = CultureInfo.CurrentUICulture = CultureInfo.InvariantCulture;

    /// <inheritdoc/>
    public void Dispose() => (CultureInfo.CurrentCulture, CultureInfo.CurrentUICulture) = (_culture, _uiCulture);
}
