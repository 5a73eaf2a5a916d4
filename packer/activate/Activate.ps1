# Dot-source this file in PowerShell:  . ENVIRONMENT/bin/Activate.ps1
# The command `deactivate` takes everything back.

if (Test-Path Function:\deactivate) { deactivate }

$global:_HoldallPrefix = Split-Path -Parent $PSScriptRoot
$global:_HoldallOld = @{
    Variable   = $env:@VARIABLE@
    PythonHome = $env:PYTHONHOME
    Prompt     = if (Test-Path Function:\prompt) { $function:prompt } else { $null }
}

function global:deactivate {
    $hooks = Join-Path $global:_HoldallPrefix 'etc/conda/deactivate.d'
    if (Test-Path -LiteralPath $hooks) {
        Get-ChildItem -LiteralPath $hooks -Filter '*.ps1' | Sort-Object Name -Descending | ForEach-Object { . $_.FullName }
    }
    # Only this environment's folder leaves PATH: it may have changed otherwise.
    $bin = Join-Path $global:_HoldallPrefix 'bin'
    $separator = [System.IO.Path]::PathSeparator
    $env:PATH = ($env:PATH -split $separator | Where-Object { $_ -cne $bin }) -join $separator
    $env:@VARIABLE@ = $global:_HoldallOld.Variable
    $env:PYTHONHOME = $global:_HoldallOld.PythonHome
    if ($global:_HoldallOld.Prompt) { Set-Item -Path Function:\global:prompt -Value $global:_HoldallOld.Prompt }
    Remove-Variable -Name _HoldallPrefix, _HoldallOld -Scope Global
    Remove-Item -Path Function:\deactivate
}

$env:@VARIABLE@ = $global:_HoldallPrefix
$env:PATH = (Join-Path $global:_HoldallPrefix 'bin') + [System.IO.Path]::PathSeparator + $env:PATH
$env:PYTHONHOME = $null
if (-not $env:VIRTUAL_ENV_DISABLE_PROMPT) {
    function global:prompt {
        '(' + (Split-Path -Leaf $global:_HoldallPrefix) + ') ' + $(if ($global:_HoldallOld.Prompt) { & $global:_HoldallOld.Prompt } else { '> ' })
    }
}

$hooks = Join-Path $global:_HoldallPrefix 'etc/conda/activate.d'
if (Test-Path -LiteralPath $hooks) {
    Get-ChildItem -LiteralPath $hooks -Filter '*.ps1' | Sort-Object Name | ForEach-Object { . $_.FullName }
}
